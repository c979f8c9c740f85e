// guest is the program in the containers that wake-proxy wakes: a few servers with known behaviours, and a few ways to misbehave.
//
//	guest [options] SERVICE=ADDRESS...
//
//	echo      sends back what comes, then the end
//	banner    says "220 NAME\n" first, then echoes
//	sum       reads to the end of stream, then answers "SIZE SHA-256\n": needs a half-close that is carried
//	tls       TLS with a certificate of its own; says "NAME SERVER-NAME\n" first, then echoes
//	http      HTTP/1.1 and HTTP/2 without TLS; / tells the request as JSON, /ws echoes WebSocket messages, /bytes?n= sends so many
//	udp       answers each datagram with "N " before it, N being how many have come from that address
//
//	--name TEXT       what it calls itself; otherwise the name of the host
//	--after MS        listens so much later
//	--say TEXT        writes that to its standard error at the start
//	--exit-after MS   ends by itself, with the code of --code (1)
//	--crashes N       does so at its first N starts only
//	--healthy-after MS  when `guest healthy` begins to succeed; never without it
//	--ignore-term     does not end when it is asked to
//
//	guest healthy     for a health check: whether --healthy-after has passed
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	healthyFile = "/healthy"
	startsFile  = "/starts"
)

var name string

func accept(listener net.Listener, handle func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Print(err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go func() {
			defer conn.Close()
			handle(conn)
		}()
	}
}

func echo(c net.Conn) {
	io.Copy(c, c)
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

func banner(c net.Conn) {
	fmt.Fprintf(c, "220 %s\n", name)
	echo(c)
}

func sum(c net.Conn) {
	h := sha256.New()
	n, err := io.Copy(h, c)
	if err == nil {
		fmt.Fprintf(c, "%d %x\n", n, h.Sum(nil))
	}
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	about := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "*.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, &about, &about, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func encrypted(c net.Conn) {
	secure := c.(*tls.Conn)
	if err := secure.Handshake(); err != nil {
		return
	}
	fmt.Fprintf(c, "%s %s\n", name, secure.ConnectionState().ServerName)
	echo(c)
}

func about(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"name": name, "method": r.Method, "target": r.RequestURI, "host": r.Host, "protocol": r.Proto, "headers": r.Header, "remote": r.RemoteAddr,
	})
}

func bytesOf(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n < 0 {
		http.Error(w, "how many?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(n))
	block := make([]byte, 1<<16)
	for ; n > 0; n -= min(n, len(block)) {
		if _, err := w.Write(block[:min(n, len(block))]); err != nil {
			return
		}
	}
}

// webSocket answers every message with itself, and pings with pongs (RFC 6455 section 5.5).
func webSocket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	hash := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(hash[:]))
	rw.Flush()
	for {
		first, payload, err := readFrame(rw.Reader)
		if err != nil {
			return
		}
		switch first & 0x0f {
		case 0x9:
			first = 0x8a
		case 0xa:
			continue
		}
		rw.Write([]byte{first, byte(len(payload))})
		rw.Write(payload)
		rw.Flush()
		if first&0x0f == 0x8 {
			return
		}
	}
}

// readFrame takes frames of at most 125 bytes: the clients here send no others.
func readFrame(r *bufio.Reader) (byte, []byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := int(head[1] & 0x7f)
	if head[1]&0x80 == 0 || size > 125 {
		return 0, nil, errors.New("a short and masked frame is expected")
	}
	frame := make([]byte, 4+size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return 0, nil, err
	}
	for i := range frame[4:] {
		frame[4+i] ^= frame[i%4]
	}
	return head[0], frame[4:], nil
}

func datagrams(socket net.PacketConn) {
	count := map[string]int{}
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			log.Print(err)
			continue
		}
		count[from.String()]++
		socket.WriteTo(append([]byte(fmt.Sprintf("%d ", count[from.String()])), buffer[:n]...), from)
	}
}

func serve(service, address string) {
	if service == "udp" {
		socket, err := net.ListenPacket("udp", address)
		if err != nil {
			log.Fatal(err)
		}
		socket.(*net.UDPConn).SetReadBuffer(4 << 20)
		go datagrams(socket)
		return
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	switch service {
	case "echo":
		go accept(listener, echo)
	case "banner":
		go accept(listener, banner)
	case "sum":
		go accept(listener, sum)
	case "tls":
		go accept(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate()}}), encrypted)
	case "http":
		mux := http.NewServeMux()
		mux.HandleFunc("/", about)
		mux.HandleFunc("/ws", webSocket)
		mux.HandleFunc("/bytes", bytesOf)
		server := http.Server{Handler: mux, Protocols: new(http.Protocols)}
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
		go server.Serve(listener)
	default:
		log.Fatalf("unknown service %q", service)
	}
}

// countStart counts in a file of the container, which lives as long as the container does.
func countStart() int {
	text, _ := os.ReadFile(startsFile)
	n, _ := strconv.Atoi(string(text))
	os.WriteFile(startsFile, []byte(strconv.Itoa(n+1)), 0o644)
	return n + 1
}

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	return host
}

func main() {
	log.SetFlags(0)
	flag.StringVar(&name, "name", hostName(), "")
	after := flag.Int("after", 0, "")
	say := flag.String("say", "", "")
	exitAfter := flag.Int("exit-after", -1, "")
	code := flag.Int("code", 1, "")
	crashes := flag.Int("crashes", -1, "")
	healthyAfter := flag.Int("healthy-after", -1, "")
	ignoreTerm := flag.Bool("ignore-term", false, "")
	flag.Parse()
	if flag.Arg(0) == "healthy" {
		if _, err := os.Stat(healthyFile); err != nil {
			fmt.Println("not healthy")
			os.Exit(1)
		}
		return
	}

	terminate := make(chan os.Signal, 1)
	if *ignoreTerm {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(terminate, syscall.SIGTERM)
	}
	if *say != "" {
		fmt.Fprintln(os.Stderr, *say)
	}
	ends := *exitAfter >= 0
	if *crashes >= 0 {
		ends = ends && countStart() <= *crashes
	}
	end := func(milliseconds int) { time.Sleep(time.Duration(milliseconds) * time.Millisecond); os.Exit(*code) }
	if ends && *exitAfter == 0 {
		end(0)
	}
	if ends {
		go end(*exitAfter)
	}
	if *healthyAfter >= 0 {
		os.Remove(healthyFile)
		go func() {
			time.Sleep(time.Duration(*healthyAfter) * time.Millisecond)
			os.WriteFile(healthyFile, nil, 0o644)
		}()
	}
	go func() {
		time.Sleep(time.Duration(*after) * time.Millisecond)
		for _, argument := range flag.Args() {
			service, address, _ := strings.Cut(argument, "=")
			serve(service, address)
		}
	}()
	<-terminate
}
