// perconnection is what a proxy into a cluster costs that begins anew for every connection: it lists the service's
// EndpointSlices with client-go's own limit of requests, and makes a TLS connection and a SPDY upgrade of its own.
// A SOCKS5 server without authentication, for names of the form service.namespace.cluster.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

type proxy struct {
	config *rest.Config
	client *kubernetes.Clientset
}

// request speaks the server's half of SOCKS5 up to the name and port.
func request(c net.Conn) (string, uint16, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head[:2]); err != nil {
		return "", 0, err
	}
	if _, err := io.CopyN(io.Discard, c, int64(head[1])); err != nil {
		return "", 0, err
	}
	if _, err := c.Write([]byte{5, 0}); err != nil {
		return "", 0, err
	}
	if _, err := io.ReadFull(c, head); err != nil {
		return "", 0, err
	}
	if head[1] != 1 || head[3] != 3 {
		return "", 0, errors.New("only CONNECT to a name is known")
	}
	if _, err := io.ReadFull(c, head[:1]); err != nil {
		return "", 0, err
	}
	rest := make([]byte, int(head[0])+2)
	if _, err := io.ReadFull(c, rest); err != nil {
		return "", 0, err
	}
	return string(rest[:head[0]]), binary.BigEndian.Uint16(rest[head[0]:]), nil
}

// readyPod finds one behind the service. Ports are those of the pod.
func (p *proxy) readyPod(ctx context.Context, namespace, service string) (string, error) {
	slices, err := p.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return "", err
	}
	for _, slice := range slices.Items {
		for _, e := range slice.Endpoints {
			if e.TargetRef == nil || e.Conditions.Ready == nil || !*e.Conditions.Ready {
				continue
			}
			return e.TargetRef.Name, nil
		}
	}
	return "", fmt.Errorf("no ready endpoint of %s/%s", namespace, service)
}

func (p *proxy) serve(c net.Conn) error {
	defer c.Close()
	host, port, err := request(c)
	if err != nil {
		return err
	}
	labels := strings.Split(host, ".")
	if len(labels) != 3 {
		return fmt.Errorf("%s is not service.namespace.cluster", host)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	pod, err := p.readyPod(ctx, labels[1], labels[0])
	if err != nil {
		return err
	}
	transport, upgrader, err := spdy.RoundTripperFor(p.config)
	if err != nil {
		return err
	}
	address, err := url.Parse(p.config.Host)
	if err != nil {
		return err
	}
	address.Path = fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/portforward", labels[1], pod)
	session, _, err := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, address).Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return err
	}
	defer session.Close()
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failure, err := session.CreateStream(headers)
	if err != nil {
		return err
	}
	failure.Close()
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := session.CreateStream(headers)
	if err != nil {
		return err
	}
	if _, err := c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return err
	}
	ended := make(chan struct{}, 2)
	go func() {
		io.Copy(data, c)
		data.Close()
		ended <- struct{}{}
	}()
	go func() {
		io.Copy(c, data)
		ended <- struct{}{}
	}()
	<-ended
	return nil
}

func main() {
	log.SetFlags(0)
	kubeconfig := flag.String("kubeconfig", "", "file, used with its current context")
	listen := flag.String("listen", "127.0.0.1:0", "address")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	p := &proxy{config, client}
	for {
		c, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			if err := p.serve(c); err != nil && err != io.EOF {
				log.Print(err)
			}
		}()
	}
}
