// What bounds the evaluator while it walks: how deep it is, and which frame of names is on top.

#pragma once

#include <memory>

#include "jinja/evaluator.h"

namespace tapeline::jinja {

inline constexpr int kNestingMax = 1500;  // of run() and eval(); a thread's stack bounds it

class Nesting {
 public:
  explicit Nesting(Budget& budget) : budget_(budget) {
    if (++budget_.nesting > kNestingMax) {
      --budget_.nesting;
      fail("the calls and expressions are nested too deep");
    }
  }
  ~Nesting() { --budget_.nesting; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Budget& budget_;
};

/// A frame of names for a block; gone with it unless something refers to it.
class Evaluator::Scope {
 public:
  Scope(Evaluator& evaluator, Frame* parent) : evaluator_(evaluator), outer_(evaluator.frame_) {
    if (evaluator_.spare_.empty()) {
      frame_ = std::make_unique<Frame>();
    } else {
      frame_ = std::move(evaluator_.spare_.back());
      evaluator_.spare_.pop_back();
    }
    frame_->parent = parent;
    evaluator_.frame_ = frame_.get();
  }
  explicit Scope(Evaluator& evaluator) : Scope(evaluator, evaluator.frame_) {}
  ~Scope() {
    evaluator_.frame_ = outer_;
    if (frame_->captured) {
      evaluator_.captured_.push_back(std::move(frame_));
    } else {
      frame_->names.clear();
      evaluator_.spare_.push_back(std::move(frame_));
    }
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Evaluator& evaluator_;
  Frame* outer_;
  std::unique_ptr<Frame> frame_;
};

}  // namespace tapeline::jinja
