module podproxy.test/guest

go 1.24
