// Any bytes as the files of a dbt project: dbt_project.yml, profiles.yml, a properties file, a
// model or a macro file. The project is refused with a reason, or its graph holds together.
//
// The first byte says which file the rest is.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "transform/parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline;
  using namespace tapeline::transform;
  if (size == 0) return 0;
  static const char* const kFiles[] = {"dbt_project.yml", "profiles.yml", "models/models.yml",
                                       "models/b.sql", "macros/m.sql"};
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ProjectFiles files;
  files.set("dbt_project.yml", "name: shop\nversion: '1'\nprofile: shop\nmodel-paths: [models]\n");
  files.set("profiles.yml",
            "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: x, schema: main}\n");
  files.set("models/a.sql", "select 1 as id");
  files.set("models/b.sql", "select * from {{ ref('a') }}");
  files.set(kFiles[(data[0] - '0') % std::size(kFiles)], bytes);

  const Environment environment;
  const text::Value vars{text::Object{}};
  const auto context = yaml_context(environment, vars, {});
  const auto project = load_project(files, *context);
  if (!project) {
    TL_ASSERT(!project.error().message.empty());
    return 0;
  }
  const auto profile = load_profile(*files.find("profiles.yml"), project->profile, "", *context);
  if (!profile) return 0;
  ManualClock clock{Timestamp()};
  const auto parsed = parse_project({files, *project, *profile, environment, clock, vars});
  if (!parsed) {
    TL_ASSERT(!parsed.error().message.empty());
    return 0;
  }
  for (const auto& [id, node] : parsed->manifest->nodes) {
    TL_ASSERT(id == node.unique_id);
    for (const std::string& parent : node.depends_on) {
      const bool is_macro = parent.starts_with("macro.");
      TL_ASSERT(is_macro || parsed->manifest->find(parent));
    }
  }
  return 0;
}
