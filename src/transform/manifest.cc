#include "transform/manifest.h"

#include <fmt/format.h>

namespace tapeline::transform {

Status Macros::add_file(const std::string& package, const std::string& path,
                        const std::string& source) {
  auto parsed = TRY(jinja::Template::parse(source, path));
  files_.push_back(std::make_unique<jinja::Template>(std::move(parsed)));
  const auto* code = files_.back().get();
  for (const auto& info : code->macros()) {
    Macro macro{info.name, package, path, code};
    const auto id = macro.unique_id();
    const auto [at, added] = by_id_.emplace(id, std::move(macro));
    if (!added)
      return Error{ErrorCode::invalid_argument,
                   fmt::format("dbt found two macros named \"{}\" in the project \"{}\": in {} "
                               "and in {}",
                               info.name, package, at->second.path, path),
                   "Rename or remove one of them."};
    packages_[package].emplace(info.name, &at->second);
  }
  return Ok{};
}

const Macro* Macros::find_in(const std::string& package, const std::string& name) const {
  const auto look = [&](const std::string& where) -> const Macro* {
    const auto names = packages_.find(where);
    if (names == packages_.end()) return nullptr;
    const auto found = names->second.find(name);
    return found == names->second.end() ? nullptr : found->second;
  };
  if (package != "dbt") return look(package);
  for (const char* internal : kInternalPackages)
    if (const auto* macro = look(internal)) return macro;
  return nullptr;
}

const Macro* Macros::find(const std::string& name) const {
  for (const auto& [package, names] : packages_) {
    if (package == kInternalPackages[0] || package == kInternalPackages[1]) continue;
    const auto found = names.find(name);
    if (found != names.end()) return found->second;
  }
  return find_in("dbt", name);
}

const Node* Manifest::find(const std::string& unique_id) const {
  const auto found = nodes.find(unique_id);
  return found == nodes.end() ? nullptr : &found->second;
}

const Node* Manifest::find_model(const Reference& reference) const {
  const auto package = reference.package.empty() ? project.name : reference.package;
  return find(fmt::format("model.{}.{}", package, reference.name));
}

const Node* Manifest::find_source(const SourceReference& reference) const {
  return find(fmt::format("source.{}.{}.{}", project.name, reference.source, reference.table));
}

}  // namespace tapeline::transform
