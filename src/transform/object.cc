#include "transform/object.h"

namespace tapeline::transform {
namespace {

class Members final : public jinja::HostObject {
 public:
  Members(std::string type_name, std::map<std::string, jinja::Value> members, HostFunction call)
      : type_name_(std::move(type_name)), members_(std::move(members)), call_(std::move(call)) {}

  std::string type_name() const override { return type_name_; }
  Result<jinja::Value> attribute(const std::string& name) override {
    const auto found = members_.find(name);
    return found == members_.end() ? jinja::Value::undefined(name) : found->second;
  }
  Result<jinja::Value> call(const jinja::Arguments& arguments) override {
    return call_ ? call_(arguments) : HostObject::call(arguments);
  }
  bool callable() const override { return static_cast<bool>(call_); }
  std::string text() const override { return "<" + type_name_ + ">"; }

 private:
  std::string type_name_;
  std::map<std::string, jinja::Value> members_;
  HostFunction call_;
};

}  // namespace

jinja::Value make_object(std::string type_name, std::map<std::string, jinja::Value> members,
                         HostFunction call) {
  return host_value<Members>(std::move(type_name), std::move(members), std::move(call));
}

}  // namespace tapeline::transform
