#ifndef PODPROXY_TESTS_FAKES_FAKE_KUBE_SERVER_HPP
#define PODPROXY_TESTS_FAKES_FAKE_KUBE_SERVER_HPP

#include <fakes/authority.hpp>
#include <fakes/fake_kube_changes.hpp>
#include <fakes/fake_kube_io.hpp>
#include <fakes/fake_kube_pod.hpp>
#include <fakes/fake_kube_spdy.hpp>
#include <asio/co_spawn.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace podproxy::test {

/// One port of a Service. `target` is a number, or 0 for one that only pods with their own number have.
struct kube_port {
    std::string name;
    std::uint16_t port = 0;
    std::uint16_t target = 0;
};

struct kube_service {
    std::string name_space = "default";
    std::string name;
    std::vector<kube_port> ports;
    std::vector<std::string> pods; ///< Names, in the same namespace.
    bool headless = false;
    std::string external_name;
};

/// What a request is, and what shall go wrong with it. An empty field fits everything.
struct kube_fault {
    enum class kind {
        status,        ///< Answer with `code` and a Status object (`text` in place of the usual message; `plain`: as text/plain).
        stall,         ///< Take the request and never answer.
        close,         ///< Close without an answer.
        truncate,      ///< Send half of the answer, then close.
        wrong_length,  ///< A Content-Length that is 10 too large, then close.
        garbage,       ///< Not HTTP.
        not_json,      ///< 200 with text that is no JSON.
        oversize_head, ///< A response head of 1 MiB.
        slow,          ///< One byte at a time, with `delay` between them.
        delayed,       ///< The right answer after `delay`.
        expired_event, ///< For watches: 200 and an ERROR event with code 410.
        end_watch,     ///< For watches: the changes that are due, then the orderly end.
        break_watch,   ///< For watches: half a line, then the connection is cut.
    };
    kind what = kind::status;
    std::string verb;     ///< get, list, watch, create, patch, delete. A port-forward over SPDY is `create`, over WebSocket `get`.
    std::string resource; ///< services, endpointslices, pods, pods/portforward, deployments, deployments/scale, leases ...
    int code = 500;
    std::string text;
    bool plain = false;
    std::chrono::milliseconds delay{1};
    int times = -1; ///< How many requests; -1: all.
};

struct kube_server_config {
    bool tls = false;
    std::uint16_t port = 0;      ///< 0: any free one.
    std::set<std::string> tokens; ///< Bearer tokens that are accepted. Empty: everybody is.
    bool websocket = true;        ///< Off: as servers before 1.30, which know only SPDY.
    std::chrono::milliseconds bookmark_every{0}; ///< Bookmarks for watches that allow them. 0: none.
    bool follow_scale = true;     ///< A workload has at once the pods that it shall have.
    fake_kube::runtime_config runtime;
};

/// Everything that was counted up to now.
struct kube_counters {
    std::size_t connections = 0;
    std::size_t open_connections = 0;
    std::size_t requests = 0;
    std::size_t watches = 0; ///< running now
    std::map<std::string, std::size_t> by_request; ///< "list endpointslices"
    std::size_t spdy_upgrades = 0;
    std::size_t websocket_upgrades = 0;
    fake_kube::session_counters sessions;
};

/** A Kubernetes API server with its kubelet and containers, as far as a port-forwarding client can see, in a thread of its own on a port
    of 127.0.0.1. Serves get, list and watch of Services, EndpointSlices and pods, and `pods/portforward` over SPDY/3.1 and over a
    WebSocket, the way the real ones do; keeps objects of every other kind, which can be created, patched, scaled and deleted
    (fake_kube_changes.hpp); and misbehaves as it is told.

        fake_kube_server kube;
        kube.add_pod({.name = "web-1", .ports = {{8080, fake_kube::programs::echo()}}});
        kube.add_service({.name = "web", .ports = {{"http", 80, 8080}}, .pods = {"web-1"}});
        ... connect to kube.port() ...

    Every public function may be called from any thread at any time. */
class fake_kube_server {
public:
    using fault = kube_fault;

    explicit fake_kube_server(kube_server_config config = {}) : config_(std::move(config)), acceptor_(context_), stirred_(context_.get_executor())
    {
        if (config_.tls) {
            certificate_request request;
            request.common_name = "kube-apiserver";
            request.names = "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1";
            authority_.emplace("fake kubernetes");
            auto const own = authority_->issue(request);
            tls_ = fake_kube::make_tls(own.certificate_pem, own.key_pem);
        }
        asio::ip::tcp::endpoint const at(asio::ip::address_v4::loopback(), config_.port);
        acceptor_.open(at.protocol());
        acceptor_.set_option(asio::socket_base::reuse_address(true));
        acceptor_.bind(at);
        acceptor_.listen();
        port_ = acceptor_.local_endpoint().port();
        asio::co_spawn(context_, accept(), [](std::exception_ptr) {});
        thread_ = std::thread([this] { serve(); });
    }

    ~fake_kube_server()
    {
        context_.stop();
        thread_.join();
    }
    fake_kube_server(fake_kube_server const&) = delete;
    fake_kube_server& operator=(fake_kube_server const&) = delete;

    std::uint16_t port() const { return port_; }
    std::string url() const { return (config_.tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_); }
    /// The authority that signed the server's certificate, as PEM text. Only with TLS.
    std::string ca_pem() const { return authority_ ? authority_->pem() : std::string(); }

    // ---- the cluster ----

    void add_pod(fake_kube::pod_spec pod)
    {
        std::lock_guard const lock(mutex_);
        auto const key = pod.name_space + "/" + pod.name;
        bool const is_new = !pods_.contains(key);
        pods_[key] = std::move(pod);
        publish_pod(key, is_new ? "ADDED" : "MODIFIED");
        publish_slices();
    }
    /// Change a pod: `change_pod("default", "web-1", [](auto& p) { p.ready = false; })`.
    void change_pod(std::string const& name_space, std::string const& name, std::function<void(fake_kube::pod_spec&)> const& change)
    {
        std::lock_guard const lock(mutex_);
        change(pods_.at(name_space + "/" + name));
        publish_pod(name_space + "/" + name, "MODIFIED");
        publish_slices();
    }
    /// Delete a pod. Its sessions stay, and say that the sandbox is gone.
    void remove_pod(std::string const& name_space, std::string const& name)
    {
        std::lock_guard const lock(mutex_);
        auto const key = name_space + "/" + name;
        pods_.erase(key);
        remove_object("pods", key);
        publish_slices();
    }
    void add_service(kube_service service)
    {
        std::lock_guard const lock(mutex_);
        auto const key = service.name_space + "/" + service.name;
        services_[key] = std::move(service);
        publish_service(key);
        publish_slices();
    }
    void remove_service(std::string const& name_space, std::string const& name)
    {
        std::lock_guard const lock(mutex_);
        auto const key = name_space + "/" + name;
        services_.erase(key);
        remove_object("services", key);
        remove_object("endpointslices", key + "-slice");
    }
    /// Put an object as it is. `%RV%` in it becomes the resource version. `service`: for the label that slices are found by.
    void put_object(std::string const& resource, std::string const& name_space, std::string const& name, std::string const& service,
                    std::string const& json)
    {
        std::lock_guard const lock(mutex_);
        put(resource, name_space + "/" + name, service, json);
    }
    /// An object as it is, as JSON; empty when there is none.
    std::string object_json(std::string const& resource, std::string const& name_space, std::string const& name) const
    {
        std::lock_guard const lock(mutex_);
        auto const all = objects_.find(resource);
        if (all == objects_.end()) return {};
        auto const it = all->second.find(name_space + "/" + name);
        return it == all->second.end() ? std::string() : it->second.json;
    }
    void delete_object(std::string const& resource, std::string const& name_space, std::string const& name)
    {
        std::lock_guard const lock(mutex_);
        remove_object(resource, name_space + "/" + name);
    }
    /// Forget the changes up to now, as etcd's compaction does: watches that begin before are answered with 410.
    void compact()
    {
        std::lock_guard const lock(mutex_);
        compacted_ = version_;
        log_.clear();
    }

    // ---- misbehaviour ----

    void fail(kube_fault f)
    {
        std::lock_guard const lock(mutex_);
        faults_.push_back(std::move(f));
    }
    void heal()
    {
        std::lock_guard const lock(mutex_);
        faults_.clear();
    }
    /// Change settings of later connections: tokens, WebSocket, the runtime.
    void configure(std::function<void(kube_server_config&)> const& change)
    {
        std::lock_guard const lock(mutex_);
        change(config_);
    }
    /// Close all connections, with a TCP RST or without, and go on listening.
    void drop_connections(bool rst = false)
    {
        with_sessions([rst](fake_kube::runtime_session& s) { s.drop(rst); });
        asio::post(context_, [this, rst] {
            for (auto const& weak : wires_)
                if (auto const w = weak.lock()) rst ? w->reset() : w->close();
        });
    }
    /// Stop answering on all port-forward sessions that there are, without closing them; or go on.
    void freeze_sessions(bool on = true)
    {
        with_sessions([on](fake_kube::runtime_session& s) { s.freeze(on); });
    }
    void send_goaway()
    {
        with_sessions([](fake_kube::runtime_session& s) { s.go_away(); });
    }
    /// Send bytes where the clients of all sessions expect a frame.
    void send_raw(std::string const& bytes)
    {
        with_sessions([bytes](fake_kube::runtime_session& s) { s.send_raw(bytes); });
    }
    void send_websocket(int opcode, std::string const& payload)
    {
        with_sessions([opcode, payload](fake_kube::runtime_session& s) { s.send_websocket(opcode, payload); });
    }
    /// End all watches in an orderly way, as the API server does every few minutes.
    void end_watches()
    {
        std::lock_guard const lock(mutex_);
        ++watch_era_;
        stir();
    }

    kube_counters counters() const
    {
        std::lock_guard const lock(mutex_);
        return counters_;
    }

private:
    using wire = fake_kube::wire;

    struct object {
        std::string service; ///< value of the label kubernetes.io/service-name
        std::string json;
    };
    struct logged {
        std::uint64_t version;
        std::string resource;
        std::string key;
        std::string service;
        std::string type;
        std::string json;
    };
    /// What a request asks for.
    struct asked {
        std::string verb;
        std::string resource;
        std::string name_space;
        std::string name;
    };

    void serve()
    {
        for (;;) {
            try {
                context_.run();
                return;
            } catch (std::exception const&) { // the end of one connection, as far as the others are concerned
            }
        }
    }

    // ---- objects; under the lock ----

    static std::string quoted(std::string_view s) { return "\"" + std::string(s) + "\""; }

    std::string metadata(std::string const& key, std::string const& labels) const
    {
        auto const slash = key.find('/');
        return "\"metadata\":{\"name\":" + quoted(key.substr(slash + 1)) + ",\"namespace\":" + quoted(key.substr(0, slash)) + ",\"uid\":" +
               quoted("uid-" + key.substr(slash + 1)) + ",\"resourceVersion\":\"%RV%\",\"labels\":{" + labels + "}}";
    }

    void put(std::string const& resource, std::string const& key, std::string const& service, std::string json)
    {
        auto& all = objects_[resource];
        bool const is_new = !all.contains(key);
        ++version_;
        for (std::size_t at; (at = json.find("%RV%")) != std::string::npos;) json.replace(at, 4, std::to_string(version_));
        all[key] = object{service, json};
        log_.push_back(logged{version_, resource, key, service, is_new ? "ADDED" : "MODIFIED", std::move(json)});
        stir();
    }
    void remove_object(std::string const& resource, std::string const& key)
    {
        auto& all = objects_[resource];
        auto const it = all.find(key);
        if (it == all.end()) return;
        log_.push_back(logged{++version_, resource, key, it->second.service, "DELETED", it->second.json});
        all.erase(it);
        stir();
    }

    void publish_pod(std::string const& key, std::string const&)
    {
        auto const& pod = pods_.at(key);
        put("pods", key, "",
            "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"," + metadata(key, "") + ",\"spec\":{\"containers\":[{\"name\":\"main\"}]},\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"" +
                (pod.ready ? "True" : "False") + "\"}]}}");
    }
    void publish_service(std::string const& key)
    {
        auto const& s = services_.at(key);
        std::string ports;
        for (auto const& p : s.ports) {
            if (!ports.empty()) ports += ",";
            ports += "{" + (p.name.empty() ? std::string() : "\"name\":" + quoted(p.name) + ",") + "\"protocol\":\"TCP\",\"port\":" +
                     std::to_string(p.port) + ",\"targetPort\":" + std::to_string(p.target) + "}";
        }
        std::string spec;
        if (!s.external_name.empty())
            spec = "\"type\":\"ExternalName\",\"externalName\":" + quoted(s.external_name);
        else
            spec = "\"type\":\"ClusterIP\",\"clusterIP\":" + quoted(s.headless ? "None" : "10.96.0.10") + ",\"ports\":[" + ports + "]";
        put("services", key, "", "{\"kind\":\"Service\",\"apiVersion\":\"v1\"," + metadata(key, "") + ",\"spec\":{" + spec + "},\"status\":{\"loadBalancer\":{}}}");
    }
    /// One slice for every Service that has pods to name; only those that changed are new.
    void publish_slices()
    {
        for (auto const& [key, s] : services_) {
            if (!s.external_name.empty()) continue;
            std::string endpoints;
            std::size_t n = 0;
            for (auto const& name : s.pods) {
                auto const it = pods_.find(s.name_space + "/" + name);
                if (it == pods_.end()) continue;
                auto const& pod = it->second;
                if (!endpoints.empty()) endpoints += ",";
                auto const yes = [](bool b) { return std::string(b ? "true" : "false"); };
                endpoints += "{\"addresses\":[\"10.77.0." + std::to_string(++n + 1) + "\"],\"conditions\":{\"ready\":" + yes(pod.ready && !pod.terminating) +
                             ",\"serving\":" + yes(pod.serving) + ",\"terminating\":" + yes(pod.terminating) + "},";
                if (!pod.hostname.empty()) endpoints += "\"hostname\":" + quoted(pod.hostname) + ",";
                endpoints += "\"nodeName\":\"node-1\",\"targetRef\":{\"kind\":\"Pod\",\"namespace\":" + quoted(s.name_space) + ",\"name\":" + quoted(name) +
                             ",\"uid\":" + quoted("uid-" + name) + "}}";
            }
            std::string ports;
            for (auto const& p : s.ports) {
                if (!ports.empty()) ports += ",";
                ports += "{\"name\":" + quoted(p.name) + ",\"protocol\":\"TCP\",\"port\":" + std::to_string(p.target) + "}";
            }
            std::string const labels = "\"kubernetes.io/service-name\":" + quoted(s.name);
            std::string const json = "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\"," + metadata(key + "-slice", labels) +
                                     ",\"addressType\":\"IPv4\",\"endpoints\":" + (endpoints.empty() ? "null" : "[" + endpoints + "]") +
                                     ",\"ports\":" + (endpoints.empty() ? "null" : "[" + ports + "]") + "}";
            auto& last = slices_[key];
            if (last == json) continue;
            last = json;
            put("endpointslices", key + "-slice", s.name, json);
        }
    }

    void stir()
    {
        asio::post(context_, [this] { stirred_.notify(); });
    }

    template <class Call>
    void with_sessions(Call call)
    {
        asio::post(context_, [this, call] {
            for (auto const& weak : sessions_)
                if (auto const s = weak.lock()) call(*s);
        });
    }

    // ---- requests ----

    net::awaitable<void> accept()
    {
        for (;;) {
            net::tcp_socket socket(context_.get_executor());
            auto const [ec] = co_await acceptor_.async_accept(socket, asio::as_tuple(net::use_awaitable));
            if (ec) continue;
            auto const w = std::make_shared<wire>(std::move(socket), tls_);
            wires_.remove_if([](auto const& weak) { return weak.expired(); });
            wires_.push_back(w);
            asio::co_spawn(context_, connection(w), [this](std::exception_ptr) {
                std::lock_guard const lock(mutex_);
                --counters_.open_connections;
            });
        }
    }

    net::awaitable<void> connection(std::shared_ptr<wire> w)
    {
        {
            std::lock_guard const lock(mutex_);
            ++counters_.connections;
            ++counters_.open_connections;
        }
        std::string buffer;
        for (;;) {
            fake_kube::http_request request;
            for (;;) {
                bool complete = false;
                bool bad = false;
                try {
                    complete = fake_kube::take_request(buffer, request);
                } catch (std::exception const&) {
                    bad = true;
                }
                if (bad) {
                    co_await w->write("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request");
                    w->close();
                    co_return;
                }
                if (complete) break;
                std::string const more = co_await w->read();
                if (more.empty()) {
                    w->close();
                    co_return;
                }
                buffer += more;
            }
            bool const go_on = co_await answer(w, request, buffer);
            if (!go_on) {
                w->close();
                co_return;
            }
        }
    }

    static std::optional<asked> parse(fake_kube::http_request const& r)
    {
        std::vector<std::string> parts;
        for (std::size_t at = 1; at < r.path.size();) {
            auto const slash = std::min(r.path.find('/', at), r.path.size());
            parts.push_back(r.path.substr(at, slash - at));
            at = slash + 1;
        }
        std::size_t skip = 0;
        if (parts.size() >= 2 && parts[0] == "api" && parts[1] == "v1")
            skip = 2;
        else if (parts.size() >= 3 && parts[0] == "apis")
            skip = 3;
        else
            return std::nullopt;
        asked out;
        if (parts.size() > skip + 1 && parts[skip] == "namespaces") {
            out.name_space = parts[skip + 1];
            skip += 2;
        }
        if (parts.size() <= skip) return std::nullopt;
        out.resource = parts[skip];
        if (parts.size() > skip + 1) out.name = parts[skip + 1];
        if (parts.size() > skip + 2) out.resource += "/" + parts[skip + 2];
        if (r.method == "GET")
            out.verb = !out.name.empty() ? "get" : r.parameter("watch") == "1" || r.parameter("watch") == "true" ? "watch" : "list";
        else
            out.verb = r.method == "POST" ? "create" : lower_verb(r.method);
        return out;
    }
    static std::string lower_verb(std::string const& method) { return fake_kube::lower(method); }

    std::optional<kube_fault> take_fault(asked const& a)
    {
        std::lock_guard const lock(mutex_);
        for (auto it = faults_.begin(); it != faults_.end(); ++it) {
            if (!it->verb.empty() && it->verb != a.verb) continue;
            if (!it->resource.empty() && it->resource != a.resource) continue;
            auto const out = *it;
            if (it->times > 0 && --it->times == 0) faults_.erase(it);
            return out;
        }
        return std::nullopt;
    }

    static std::string status_object(int code, std::string const& message)
    {
        std::string_view const reason = code == 401   ? "Unauthorized"
                                        : code == 403 ? "Forbidden"
                                        : code == 404 ? "NotFound"
                                        : code == 410 ? "Expired"
                                        : code == 400 ? "BadRequest"
                                                      : "InternalError";
        std::string escaped;
        for (char const c : message) {
            if (c == '"' || c == '\\') escaped.push_back('\\');
            escaped.push_back(c);
        }
        return "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"" + escaped + "\",\"reason\":\"" +
               std::string(reason) + "\",\"code\":" + std::to_string(code) + "}";
    }
    static std::string response(int code, std::string const& type, std::string const& body, std::size_t claimed)
    {
        return "HTTP/1.1 " + std::to_string(code) + " " + std::string(fake_kube::reason_of(code)) + "\r\nAudit-Id: 0\r\nCache-Control: no-cache, private\r\nContent-Type: " + type +
               "\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: " + std::to_string(claimed) + "\r\n\r\n" + body;
    }
    static std::string json_response(int code, std::string const& body) { return response(code, "application/json", body, body.size()); }
    static std::string text_response(int code, std::string const& body)
    {
        return response(code, "text/plain; charset=utf-8", body, body.size());
    }
    static std::string status_response(int code, std::string const& message) { return json_response(code, status_object(code, message)); }

    static std::string forbidden(asked const& a)
    {
        return a.resource.substr(0, a.resource.find('/')) + " " + (a.name.empty() ? "" : "\"" + a.name + "\" ") + "is forbidden: User \"dev\" cannot " + a.verb +
               " resource \"" + a.resource + "\" in API group \"" + (a.resource == "endpointslices" ? "discovery.k8s.io" : "") + "\" in the namespace \"" +
               a.name_space + "\"";
    }

    /// @return whether the connection goes on.
    net::awaitable<bool> answer(std::shared_ptr<wire> w, fake_kube::http_request const& request, std::string& early)
    {
        auto const what = parse(request);
        asked const a = what.value_or(asked{});
        bool allowed = false;
        {
            std::lock_guard const lock(mutex_);
            ++counters_.requests;
            ++counters_.by_request[a.verb + " " + a.resource];
            auto const bearer = request.header("authorization");
            allowed = config_.tokens.empty() || (bearer.starts_with("Bearer ") && config_.tokens.contains(bearer.substr(7)));
        }
        if (!allowed) {
            co_await w->write(status_response(401, "Unauthorized"));
            co_return true;
        }
        if (request.path == "/version" || request.path == "/readyz") {
            co_await w->write(json_response(200, "{\"major\":\"1\",\"minor\":\"36\",\"gitVersion\":\"v1.36.3\"}"));
            co_return true;
        }
        if (auto discovery = discover(request.path); !discovery.empty()) {
            co_await w->write(json_response(200, discovery));
            co_return true;
        }
        auto const f = take_fault(a);
        std::string text;
        if (a.verb == "watch" && !(f && f->what != kube_fault::kind::end_watch && f->what != kube_fault::kind::break_watch &&
                                   f->what != kube_fault::kind::expired_event && f->what != kube_fault::kind::delayed)) {
            co_return co_await watch(w, a, request, f);
        }
        if (a.resource == "pods/portforward" && (!f || f->what == kube_fault::kind::delayed)) {
            if (f) co_await fake_kube::pause(f->delay);
            co_return co_await port_forward(w, a, request, early);
        }
        if (!f && what && (a.verb == "create" || a.verb == "patch" || a.verb == "delete")) {
            text = change(a, request);
            co_await w->write(std::move(text));
            co_return true;
        }
        text = what ? get_or_list(a, request) : text_response(404, "404 page not found\n");
        if (!f) {
            co_await w->write(std::move(text));
            co_return true;
        }
        switch (f->what) {
        case kube_fault::kind::status: {
            std::string message = f->text;
            if (message.empty() && f->code == 403) message = forbidden(a);
            if (message.empty()) message = std::string(fake_kube::reason_of(f->code));
            text = f->plain ? text_response(f->code, message) : status_response(f->code, message);
            co_await w->write(std::move(text));
            co_return true;
        }
        case kube_fault::kind::stall:
            for (;;) {
                auto const ignored = co_await w->read();
                if (ignored.empty()) co_return false;
            }
        case kube_fault::kind::close: co_return false;
        case kube_fault::kind::truncate:
            text.resize(text.size() - text.size() / 4);
            co_await w->write(std::move(text));
            co_return false;
        case kube_fault::kind::wrong_length: {
            std::string const body = text.substr(text.find("\r\n\r\n") + 4);
            text = response(200, "application/json", body, body.size() + 10);
            co_await w->write(std::move(text));
            co_return false;
        }
        case kube_fault::kind::garbage:
            co_await w->write("\x16\x03\x01 this is not HTTP\r\n\r\n");
            co_return false;
        case kube_fault::kind::not_json:
            text = json_response(200, "{\"kind\":\"List\",\"items\":[{]}");
            co_await w->write(std::move(text));
            co_return true;
        case kube_fault::kind::oversize_head:
            text = "HTTP/1.1 200 OK\r\nX-Long: " + std::string(1024 * 1024, 'x') + "\r\nContent-Length: 0\r\n\r\n";
            co_await w->write(std::move(text));
            co_return false;
        case kube_fault::kind::slow:
            w->slow_down(f->delay);
            co_await w->write(std::move(text));
            co_return true;
        default:
            co_await fake_kube::pause(f->delay);
            co_await w->write(std::move(text));
            co_return true;
        }
    }

    /// What kubectl asks before everything else.
    static std::string discover(std::string const& path)
    {
        auto const resource = [](std::string const& name, std::string const& kind, std::string const& verbs) {
            return "{\"name\":\"" + name + "\",\"singularName\":\"" + fake_kube::lower(kind) + "\",\"namespaced\":true,\"kind\":\"" + kind + "\",\"verbs\":[" + verbs + "]}";
        };
        std::string const read = "\"get\",\"list\",\"watch\"";
        if (path == "/api") return "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}";
        if (path == "/apis")
            return "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{\"name\":\"discovery.k8s.io\",\"versions\":[{\"groupVersion\":\"discovery.k8s.io/v1\",\"version\":\"v1\"}],"
                   "\"preferredVersion\":{\"groupVersion\":\"discovery.k8s.io/v1\",\"version\":\"v1\"}}]}";
        if (path == "/api/v1")
            return "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"v1\",\"resources\":[" + resource("pods", "Pod", read) + "," +
                   resource("services", "Service", read) + "," + resource("pods/portforward", "PodPortForwardOptions", "\"create\",\"get\"") + "]}";
        if (path == "/apis/discovery.k8s.io/v1")
            return "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"discovery.k8s.io/v1\",\"resources\":[" +
                   resource("endpointslices", "EndpointSlice", read) + "]}";
        return {};
    }

    static bool fits(asked const& a, std::string const& key, std::string const& service, std::string const& json, std::string const& selector,
                     std::string const& field)
    {
        if (!a.name_space.empty() && !key.starts_with(a.name_space + "/")) return false;
        std::string const label = "kubernetes.io/service-name=";
        if (selector.starts_with(label) ? selector.substr(label.size()) != service : !fake_kube::has_labels(json, selector)) return false;
        std::string const name = "metadata.name=";
        return !field.starts_with(name) || key.substr(key.find('/') + 1) == field.substr(name.size());
    }
    static std::string kind_of(std::string const& resource)
    {
        static std::map<std::string, std::string> const kinds{{"services", "Service"}, {"pods", "Pod"}, {"deployments", "Deployment"},
                                                              {"statefulsets", "StatefulSet"}, {"leases", "Lease"}, {"events", "Event"}};
        auto const it = kinds.find(resource);
        return it == kinds.end() ? "EndpointSlice" : it->second;
    }
    static std::string group_of(std::string const& resource)
    {
        return resource == "endpointslices" ? "discovery.k8s.io/v1"
               : resource == "leases"       ? "coordination.k8s.io/v1"
               : resource == "deployments" || resource == "statefulsets" ? "apps/v1" : "v1";
    }

    std::string change(asked const& a, fake_kube::http_request const& request)
    {
        std::lock_guard const lock(mutex_);
        auto const slash = a.resource.find('/');
        std::string const resource = a.resource.substr(0, slash);
        bool const scale = slash != std::string::npos && a.resource.substr(slash) == "/scale";
        if (slash != std::string::npos && !scale) return status_response(404, "the server could not find the requested resource");
        std::string name = a.name;
        if (a.verb == "create") {
            auto const body = nlohmann::json::parse(request.body, nullptr, false);
            if (body.is_object() && body.contains("metadata")) name = body["metadata"].value("name", "");
        }
        std::string const key = a.name_space + "/" + name;
        auto& all = objects_[resource];
        std::optional<std::string> current;
        if (auto const it = all.find(key); it != all.end()) current = it->second.json;
        if (a.verb == "delete") {
            if (!current) return status_response(404, resource + " \"" + name + "\" not found");
            remove_object(resource, key);
            return json_response(200, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Success\"}");
        }
        auto const done = fake_kube::apply_change(a.verb, current, request.body, request.header("content-type"), scale, config_.follow_scale, a.name_space);
        if (!done.object) return status_response(done.status, done.message);
        put(resource, key, "", *done.object);
        auto const& now = all.at(key).json;
        return json_response(done.status, done.scale ? fake_kube::scale_json(now) : now);
    }

    std::string get_or_list(asked const& a, fake_kube::http_request const& request)
    {
        std::lock_guard const lock(mutex_);
        auto const all = objects_.find(a.resource);
        if (all == objects_.end() && kind_of(a.resource) == "EndpointSlice" && a.resource != "endpointslices")
            return status_response(404, "the server could not find the requested resource");
        if (a.verb == "get") {
            if (all != objects_.end())
                if (auto const it = all->second.find(a.name_space + "/" + a.name); it != all->second.end()) return json_response(200, it->second.json);
            return status_response(404, a.resource + " \"" + a.name + "\" not found");
        }
        std::string items;
        if (all != objects_.end())
            for (auto const& [key, o] : all->second)
                if (fits(a, key, o.service, o.json, request.parameter("labelSelector"), request.parameter("fieldSelector")))
                    items += (items.empty() ? "" : ",") + o.json;
        return json_response(200, "{\"kind\":\"" + kind_of(a.resource) + "List\",\"apiVersion\":\"" + group_of(a.resource) +
                                      "\",\"metadata\":{\"resourceVersion\":\"" + std::to_string(version_) + "\"},\"items\":[" + items + "]}");
    }

    static std::string chunk(std::string const& line)
    {
        char size[20];
        std::snprintf(size, sizeof size, "%zx\r\n", line.size());
        return size + line + "\r\n";
    }

    net::awaitable<bool> watch(std::shared_ptr<wire> w, asked const& a, fake_kube::http_request const& request, std::optional<kube_fault> f)
    {
        if (f && f->what == kube_fault::kind::delayed) co_await fake_kube::pause(f->delay);
        std::uint64_t seen = 0;
        std::uint64_t era = 0;
        bool expired = false;
        std::chrono::milliseconds bookmarks{0};
        std::string const from = request.parameter("resourceVersion");
        {
            std::lock_guard const lock(mutex_);
            seen = from.empty() || from == "0" ? 0 : std::stoull(from);
            expired = seen != 0 && seen < compacted_;
            era = watch_era_;
            if (request.parameter("allowWatchBookmarks") == "true") bookmarks = config_.bookmark_every;
        }
        if (expired) {
            std::string const text = "too old resource version: " + from;
            co_await w->write(status_response(410, text));
            co_return true;
        }
        co_await w->write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        if (f && f->what == kube_fault::kind::expired_event) {
            std::string line = "{\"type\":\"ERROR\",\"object\":" + status_object(410, "too old resource version: " + from) + "}\n";
            co_await w->write(chunk(line) + "0\r\n\r\n");
            co_return true;
        }
        if (f && f->what == kube_fault::kind::break_watch) {
            co_await w->write(chunk("{\"type\":\"MODIFIED\",\"obj"));
            co_return false;
        }
        struct running {
            fake_kube_server* server;
            explicit running(fake_kube_server* s) : server(s)
            {
                std::lock_guard const lock(server->mutex_);
                ++server->counters_.watches;
            }
            ~running()
            {
                std::lock_guard const lock(server->mutex_);
                --server->counters_.watches;
            }
        } const counted(this);
        // The client closes when it has had enough; only reading tells.
        auto const closed = std::make_shared<bool>(false);
        asio::co_spawn(context_, watch_end(w, closed), [this, closed](std::exception_ptr) { *closed = true, stirred_.notify(); });
        auto next_bookmark = net::clock::now() + bookmarks;
        bool first = seen == 0;
        for (;;) {
            std::string out;
            bool over = false;
            {
                std::lock_guard const lock(mutex_);
                std::string const selector = request.parameter("labelSelector");
                std::string const field = request.parameter("fieldSelector");
                if (std::exchange(first, false)) {
                    for (auto const& [key, o] : objects_[a.resource])
                        if (fits(a, key, o.service, o.json, selector, field)) out += chunk("{\"type\":\"ADDED\",\"object\":" + o.json + "}\n");
                    seen = version_;
                }
                for (auto const& c : log_) {
                    if (c.version <= seen) continue;
                    if (c.resource == a.resource && fits(a, c.key, c.service, c.json, selector, field))
                        out += chunk("{\"type\":\"" + c.type + "\",\"object\":" + c.json + "}\n");
                }
                seen = version_;
                if (bookmarks.count() != 0 && net::clock::now() >= next_bookmark) {
                    out += chunk("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"" + kind_of(a.resource) + "\",\"apiVersion\":\"" + group_of(a.resource) +
                                 "\",\"metadata\":{\"resourceVersion\":\"" + std::to_string(seen) + "\"}}}\n");
                    next_bookmark += bookmarks;
                }
                over = era != watch_era_;
            }
            if (f && f->what == kube_fault::kind::end_watch) over = true;
            if (over) out += "0\r\n\r\n";
            co_await w->write(std::move(out));
            if (*closed) co_return false;
            if (over) {
                // A reader is on the connection already; the client opens another one.
                co_return false;
            }
            {
                std::lock_guard const lock(mutex_);
                if (version_ != seen || era != watch_era_) continue; // it came while we wrote, and nobody will call again
            }
            if (bookmarks.count() != 0) {
                auto const timer = std::make_shared<net::timer>(context_.get_executor(), next_bookmark);
                timer->async_wait([this, timer](std::error_code) { stirred_.notify(); });
                co_await stirred_.wait();
                timer->cancel();
            } else {
                co_await stirred_.wait();
            }
        }
    }
    static net::awaitable<void> watch_end(std::shared_ptr<wire> w, std::shared_ptr<bool> closed)
    {
        while (!*closed) {
            auto const ignored = co_await w->read();
            if (ignored.empty()) co_return;
        }
    }

    net::awaitable<bool> port_forward(std::shared_ptr<wire> w, asked const& a, fake_kube::http_request const& request, std::string& early)
    {
        using session = fake_kube::runtime_session;
        auto const key = a.name_space + "/" + a.name;
        bool websocket_known = false;
        bool exists = false;
        fake_kube::runtime_config runtime;
        {
            std::lock_guard const lock(mutex_);
            exists = pods_.contains(key);
            websocket_known = config_.websocket;
            runtime = config_.runtime;
        }
        std::string refusal;
        std::string greeting;
        auto kind = session::carrier::spdy;
        std::string const upgrade = fake_kube::lower(request.header("upgrade"));
        if (!exists) {
            refusal = status_response(404, "pods \"" + a.name + "\" not found");
        } else if (fake_kube::lower(request.header("connection")).find("upgrade") == std::string::npos || upgrade.empty()) {
            refusal = status_response(400, "Upgrade request required");
        } else if (request.method == "GET" && upgrade == "websocket") {
            kind = session::carrier::websocket;
            bool const tunnel = request.header("sec-websocket-protocol").find("SPDY/3.1+portforward.k8s.io") != std::string::npos;
            if (!websocket_known || !tunnel || request.header("sec-websocket-version") != "13" || request.header("sec-websocket-key").empty())
                refusal = text_response(400, "query parameter \"port\" is required");
            else
                greeting = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                           fake_kube::websocket_accept(request.header("sec-websocket-key")) +
                           "\r\nSec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n";
        } else if (request.method == "POST" && upgrade == "spdy/3.1") {
            bool known = false;
            for (auto [it, end] = request.headers.equal_range("x-stream-protocol-version"); it != end; ++it)
                known = known || it->second.find("portforward.k8s.io") == 0;
            if (!request.headers.contains("x-stream-protocol-version"))
                refusal = text_response(500, "invalid upgrade response: status code 200");
            else if (!known)
                refusal = text_response(403, "unable to upgrade: unable to negotiate protocol: client supports [" +
                                                 request.header("x-stream-protocol-version") + "], server accepts [portforward.k8s.io]");
            else
                greeting = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
        } else {
            refusal = status_response(400, "Upgrade request required");
        }
        if (!refusal.empty()) {
            co_await w->write(std::move(refusal));
            co_return true;
        }
        {
            std::lock_guard const lock(mutex_);
            ++(kind == session::carrier::spdy ? counters_.spdy_upgrades : counters_.websocket_upgrades);
        }
        co_await w->write(std::move(greeting));
        std::string sandbox;
        for (std::size_t i = 0; sandbox.size() < 64; ++i) sandbox.push_back("0123456789abcdef"[(static_cast<unsigned char>(key[i % key.size()]) + i) % 16]);
        auto const find = [this, key]() -> std::optional<fake_kube::pod_spec> {
            std::lock_guard const lock(mutex_);
            auto const it = pods_.find(key);
            if (it == pods_.end()) return std::nullopt;
            return it->second;
        };
        auto const count = [this](std::function<void(fake_kube::session_counters&)> const& change_counters) {
            std::lock_guard const lock(mutex_);
            change_counters(counters_.sessions);
        };
        auto const s = std::make_shared<session>(w, kind, sandbox, find, count, runtime);
        sessions_.remove_if([](auto const& weak) { return weak.expired(); });
        sessions_.push_back(s);
        co_await s->run(std::exchange(early, {}));
        co_return false;
    }

    mutable std::mutex mutex_;
    kube_server_config config_;
    kube_counters counters_;
    std::map<std::string, fake_kube::pod_spec> pods_;
    std::map<std::string, kube_service> services_;
    std::map<std::string, std::string> slices_;
    std::map<std::string, std::map<std::string, object>> objects_;
    std::vector<logged> log_;
    std::list<kube_fault> faults_;
    std::uint64_t version_ = 1000;
    std::uint64_t compacted_ = 0;
    std::uint64_t watch_era_ = 0;

    // Only the server's thread touches what follows.
    std::optional<authority> authority_;
    std::shared_ptr<SSL_CTX> tls_;
    asio::io_context context_{1};
    std::list<std::weak_ptr<wire>> wires_;
    std::list<std::weak_ptr<fake_kube::runtime_session>> sessions_;
    asio::basic_socket_acceptor<asio::ip::tcp, net::executor> acceptor_;
    fake_kube::event stirred_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

} // namespace podproxy::test

#endif
