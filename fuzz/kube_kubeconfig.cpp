// A kubeconfig of any content: every context comes out or is a warning, what comes out is complete, and merging a file with
// itself changes nothing.
#include <podproxy/core/bytes.hpp>
#include <podproxy/kube/kubeconfig.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace podproxy;
using namespace podproxy::kube;

namespace {

void check(bool ok)
{
    if (!ok) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view const text = as_text({data, size});
    config::problem_list problems;
    auto const file = parse_kubeconfig(text, "/home/jane/.kube/config", problems);
    check(file.has_value() == !config::has_errors(problems));
    if (!file) return 0;
    check(file->context_order.size() == file->contexts.size());

    auto twice = *file;
    merge_kubeconfig(twice, *file);
    check(twice.context_order == file->context_order && twice.current_context == file->current_context);
    check(twice.clusters.size() == file->clusters.size() && twice.users.size() == file->users.size());

    for (auto const& name : file->context_order) {
        problems.clear();
        auto const context = resolve_context(*file, name, problems);
        check(context.has_value() == problems.empty());
        if (!context) continue;
        check(context->name == name && !name.empty());
        check(!context->cluster.server.empty() && !context->ns.empty() && context->user.auth_provider.empty());
        for (auto const& path : {context->cluster.certificate_authority, context->user.client_certificate, context->user.client_key, context->user.token_file})
            check(path.empty() || path.front() == '/');
        if (context->user.exec) check(!context->user.exec->command.empty());
    }
    return 0;
}
