// Any bytes as a file of dags/: it is refused, with the file's name first, or it can be run to its
// end.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "dag/dag.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tapeline;
  const auto dag = dag::Dag::parse({reinterpret_cast<const char*>(data), size}, "fuzz.yaml");
  if (!dag) {
    TL_ASSERT(dag.error().message.starts_with("fuzz.yaml:"));
    return 0;
  }
  for (const dag::Task& task : dag->tasks) {
    TL_ASSERT(dag->find(task.name) == &task);
    for (const std::string& before : task.upstream) TL_ASSERT(dag->find(before));
  }
  return 0;
}
