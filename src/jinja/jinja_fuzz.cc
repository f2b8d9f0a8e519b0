// Any bytes as a template: it parses or not, it renders or not, and nothing else happens.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "jinja/template.h"

namespace {

class OnlyReturn : public tapeline::jinja::Context {
 public:
  std::optional<tapeline::jinja::Value> lookup(const std::string& name) override {
    if (name != "return") return std::nullopt;
    return tapeline::jinja::return_function();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = tapeline::jinja::Template::parse(source, "fuzz");
  if (!parsed) return 0;
  OnlyReturn context;
  const tapeline::jinja::RenderLimits limits{
      .output_bytes_max = 1 << 16, .steps_max = 20'000, .depth_max = 20};
  (void)parsed->render(context, limits);
  (void)parsed->render_native(context, limits);
  (void)parsed->static_calls();
  return 0;
}
