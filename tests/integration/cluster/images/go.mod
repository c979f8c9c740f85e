module podproxy.test/images

go 1.24
