// Aside: somebody who does a piece of work while its owner goes on with another.
//
// Parts make no threads. One that can use a second core for a moment is given an Aside; whoever
// wires it decides whether that is a thread (app/loop.h) or, as in a simulation, nobody.

#pragma once

#include <functional>

namespace tapeline {

/// threads:  one owner
/// lifetime: what the work touches must live until wait() has returned
class Aside {
 public:
  virtual ~Aside() = default;

  /// holds: what was started before has been waited for
  virtual void start(std::function<void()> work) = 0;

  /// blocks: until the work is done
  virtual void wait() = 0;
};

/// Does the work at once, on the caller's thread.
class NobodyAside final : public Aside {
 public:
  void start(std::function<void()> work) override { work(); }
  void wait() override {}
};

}  // namespace tapeline
