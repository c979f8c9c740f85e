#include <map>
#include <string_view>

extern char** environ;

namespace podproxy::kube {

inline bool exec_plugin_client::good() const
{
    return credential_ && (!credential_->expires || *credential_->expires - config_.now() > config_.renew_before);
}

inline net::awaitable<result<exec_credential const*>> exec_plugin_client::credential(diagnostics& why)
{
    while (!good()) {
        if (!running_) {
            if (failure_ && net::clock::now() - failed_ < config_.rest_after_failure) {
                why = failure_why_;
                co_return failure_;
            }
            running_ = true;
            failure_.clear();
            runs_.spawn(run());
            continue; // it may have ended already
        }
        auto const me = waiting_.emplace(waiting_.end(), executor_);
        auto [ec] = co_await me->async_wait(asio::as_tuple(net::use_awaitable));
        waiting_.erase(me);
        if (ec) co_return ec;
        if (!running_ && failure_) {
            why = failure_why_;
            co_return failure_;
        }
    }
    co_return &*credential_;
}

inline net::awaitable<void> exec_plugin_client::run()
{
    diagnostics why;
    auto got = co_await run_program(why);
    if (got) {
        bool const stillborn = got->expires && *got->expires - config_.now() <= config_.renew_before;
        credential_ = std::move(*got);
        ++age_;
        if (stillborn) {
            credential_.reset();
            got = errc::bad_credential;
            why.message = "the program " + config_.plugin.command + " gave credentials that have expired already: log in again, and compare this machine's clock";
        }
    }
    if (!got) {
        failure_ = got.error() == asio::error::operation_aborted ? got.error() : make_error_code(errc::bad_credential);
        failure_why_ = std::move(why);
        failed_ = net::clock::now();
    }
    running_ = false;
    for (auto& w : waiting_) w.complete({});
}

inline net::awaitable<result<exec_credential>> exec_plugin_client::run_program(diagnostics& why) const
{
    auto const& plugin = config_.plugin;
    bool const interactive = config_.terminal && plugin.interactive != interactive_mode::never;
    if (plugin.interactive == interactive_mode::always && !interactive) {
        why.message = "the program " + plugin.command + " wants to ask its user (interactiveMode: Always), and there is no terminal here: "
                      "start podproxy in a terminal, or let the kubeconfig allow IfAvailable";
        co_return errc::bad_credential;
    }
    std::map<std::string, std::string, std::less<>> variables;
    for (char** v = environ; v && *v; ++v) {
        std::string_view const entry(*v);
        if (auto const equals = entry.find('='); equals != std::string_view::npos) variables[std::string(entry.substr(0, equals))] = entry.substr(equals + 1);
    }
    for (auto const& v : plugin.env) variables[v.name] = v.value.reveal();
    variables["KUBERNETES_EXEC_INFO"] = exec_info(plugin, config_.cluster, config_.roots, interactive);

    net::child_process_config program;
    program.arguments.push_back(plugin.command);
    program.arguments.insert(program.arguments.end(), plugin.args.begin(), plugin.args.end());
    for (auto const& [name, value] : variables) program.environment.push_back(name + "=" + value);
    program.interactive = interactive;
    program.limit = config_.limit;
    auto const ended = co_await net::run_child_process(std::move(program), why);
    std::string const who = "the program " + plugin.command + " that gives the credentials ";
    if (!ended) {
        if (ended.error() == podproxy::errc::unavailable) {
            why.message = who + "is not installed, or not in PATH";
            why.set_server_text(plugin.install_hint);
        } else {
            why.message = who + "failed: " + why.message;
        }
        co_return ended.error();
    }
    if (ended->exit_code != 0) {
        why.message = who + "failed with exit code " + std::to_string(ended->exit_code);
        std::string_view said = ended->errors;
        while (!said.empty() && (said.back() == '\n' || said.back() == '\r' || said.back() == ' ')) said.remove_suffix(1);
        if (said.size() > diagnostics::max_server_text) said.remove_prefix(said.size() - diagnostics::max_server_text); // the end tells most
        why.set_server_text(said);
        co_return errc::bad_credential;
    }
    auto credential = parse_exec_credential(ended->output, plugin.api_version, why);
    if (!credential) why.message = "the program " + plugin.command + " gave no credentials: " + why.message;
    co_return credential;
}

} // namespace podproxy::kube
