// testsrv is the program in the test pods: an HTTP server and a set of TCP servers, each with one known behaviour.
//
//	8080  HTTP      /              JSON: who answers, and the request as it arrived
//	                /bytes?n=&seed= n bytes; Content-Sha256 in the header, or as a trailer after chunks with &chunked=1
//	                /sink          reads the body; JSON: bytes and sha256
//	                /sleep?ms=     answers after that time
//	                /status?code=  answers with that status
//	                /events?n=&ms= server-sent events, one per ms milliseconds
//	                /ws            WebSocket echo
//	9000  echo      and half-close: what came is sent back, then the end
//	9001  discard   reads to the end
//	9002  bytes     reads a line "n\n", sends n bytes (seed 1), closes
//	9003  count     reads to the end of stream, then answers "n sha256\n": needs a half-close that is carried
//	9004  reset     sends "banner\n" and resets after 50 ms
//	9005  stall     accepts and never reads
//	9006  hang-up   accepts and closes at once
//	9007  greet     sends "220 <pod>\n" first, then echoes lines until "quit"
//
// The bytes of a seed are the little-endian 64-bit outputs of splitmix64 that starts at the seed.
package main

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// content writes the first n bytes of a seed's sequence to w.
func content(w io.Writer, seed uint64, n int64) error {
	block := make([]byte, 64<<10)
	for n > 0 {
		for i := 0; i < len(block); i += 8 {
			seed += 0x9e3779b97f4a7c15
			z := seed
			z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
			z = (z ^ (z >> 27)) * 0x94d049bb133111eb
			binary.LittleEndian.PutUint64(block[i:], z^(z>>31))
		}
		part := block[:min(n, int64(len(block)))]
		if _, err := w.Write(part); err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return nil
}

type sumKey struct {
	seed uint64
	n    int64
}

var sums sync.Map // sumKey -> string: a test asks for the same sizes again and again

func sum(seed uint64, n int64) string {
	if known, ok := sums.Load(sumKey{seed, n}); ok {
		return known.(string)
	}
	h := sha256.New()
	content(h, seed, n)
	s := hex.EncodeToString(h.Sum(nil))
	sums.Store(sumKey{seed, n}, s)
	return s
}

func number(r *http.Request, name string, otherwise int64) int64 {
	v, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return v
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func about(w http.ResponseWriter, r *http.Request) {
	answerJSON(w, map[string]any{
		"pod": os.Getenv("POD_NAME"), "namespace": os.Getenv("POD_NAMESPACE"), "method": r.Method, "target": r.RequestURI,
		"host": r.Host, "remote": r.RemoteAddr, "protocol": r.Proto, "headers": r.Header,
	})
}

func bytesOf(w http.ResponseWriter, r *http.Request) {
	n, seed := number(r, "n", 0), uint64(number(r, "seed", 1))
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.URL.Query().Get("chunked") != "" {
		w.Header().Set("Trailer", "Content-Sha256")
		h := sha256.New()
		if content(io.MultiWriter(w, h), seed, n) == nil {
			w.Header().Set("Content-Sha256", hex.EncodeToString(h.Sum(nil)))
		}
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	w.Header().Set("Content-Sha256", sum(seed, n))
	if r.Method != http.MethodHead {
		content(w, seed, n)
	}
}

func sink(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{r.Body}, make([]byte, 256<<10))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answerJSON(w, map[string]any{"bytes": n, "sha256": hex.EncodeToString(h.Sum(nil)), "pod": os.Getenv("POD_NAME")})
}

func sleep(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(time.Duration(number(r, "ms", 0)) * time.Millisecond):
		fmt.Fprintln(w, "slept")
	case <-r.Context().Done():
	}
}

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	for i := range number(r, "n", 3) {
		fmt.Fprintf(w, "id: %d\ndata: event %d\n\n", i, i)
		if flush.Flush() != nil {
			return
		}
		time.Sleep(time.Duration(number(r, "ms", 100)) * time.Millisecond)
	}
}

// websocketEcho answers every message with itself; control frames as RFC 6455 section 5.5 demands.
func websocketEcho(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	accept := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(accept[:]))
	rw.Flush()
	for {
		first, payload, err := readFrame(rw.Reader)
		if err != nil {
			return
		}
		switch first & 0x0f {
		case 0x9: // ping: a pong with the same bytes
			first = 0x8a
		case 0xa: // pong: nothing is expected
			continue
		}
		writeFrame(rw.Writer, first, payload)
		if first&0x0f == 0x8 {
			return
		}
	}
}

func readFrame(r *bufio.Reader) (byte, []byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	if head[1]&0x80 == 0 {
		return 0, nil, errors.New("a client must mask")
	}
	size := uint64(head[1] & 0x7f)
	switch size {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, nil, err
		}
		size = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, nil, err
		}
		size = binary.BigEndian.Uint64(b[:])
	}
	if size > 16<<20 {
		return 0, nil, errors.New("too large")
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

func writeFrame(w *bufio.Writer, first byte, payload []byte) {
	w.WriteByte(first)
	switch n := len(payload); {
	case n < 126:
		w.WriteByte(byte(n))
	case n < 1<<16:
		w.WriteByte(126)
		binary.Write(w, binary.BigEndian, uint16(n))
	default:
		w.WriteByte(127)
		binary.Write(w, binary.BigEndian, uint64(n))
	}
	w.Write(payload)
	w.Flush()
}

// serve accepts on a port for ever. A receive buffer of 0 leaves the system's choice.
func serve(port int, receiveBuffer int, handle func(*net.TCPConn)) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if receiveBuffer == 0 {
			return nil
		}
		var err error
		raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
		})
		return err
	}}
	listener, err := config.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				log.Print(err)
				time.Sleep(10 * time.Millisecond)
				continue
			}
			go func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			}()
		}
	}()
}

func main() {
	serve(9000, 0, func(c *net.TCPConn) { io.Copy(c, c); c.CloseWrite() })
	serve(9001, 0, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	serve(9002, 0, func(c *net.TCPConn) {
		line, _ := bufio.NewReader(c).ReadString('\n')
		if n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64); err == nil {
			content(c, 1, n)
		}
	})
	serve(9003, 0, func(c *net.TCPConn) {
		h := sha256.New()
		n, _ := io.Copy(h, c)
		fmt.Fprintf(c, "%d %x\n", n, h.Sum(nil))
	})
	serve(9004, 0, func(c *net.TCPConn) {
		fmt.Fprint(c, "banner\n")
		time.Sleep(50 * time.Millisecond)
		c.SetLinger(0)
	})
	serve(9005, 4096, func(c *net.TCPConn) { select {} })
	serve(9006, 0, func(c *net.TCPConn) {})
	serve(9007, 0, func(c *net.TCPConn) {
		fmt.Fprintf(c, "220 %s\n", os.Getenv("POD_NAME"))
		for lines := bufio.NewScanner(c); lines.Scan() && lines.Text() != "quit"; {
			fmt.Fprintln(c, lines.Text())
		}
	})

	http.HandleFunc("/", about)
	http.HandleFunc("/bytes", bytesOf)
	http.HandleFunc("/sink", sink)
	http.HandleFunc("/sleep", sleep)
	http.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(int(number(r, "code", 200))) })
	http.HandleFunc("/events", events)
	http.HandleFunc("/ws", websocketEcho)
	port := os.Getenv("HTTP_PORT")
	if port == "" {
		port = "8080"
	}
	log.Fatal(http.ListenAndServe(":"+port, nil))
}
