#ifndef HEADWAY_ENGINE_STEP_GENERATOR_H_
#define HEADWAY_ENGINE_STEP_GENERATOR_H_

#include <coroutine>
#include <cstddef>
#include <exception>
#include <iterator>
#include <optional>
#include <utility>

namespace headway {

// The result of a coroutine that yields values of type T one by one (a subset of C++23's
// std::generator). Move-only. A lambda that is a coroutine refers to its closure: the closure has
// to outlive the generator. Next() throws the exceptions of the coroutine.
template <class T>
class Generator {
 public:
  struct promise_type {
    std::optional<T> value;
    std::exception_ptr error;

    Generator get_return_object() {
      return Generator(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(T yielded) {
      value.emplace(std::move(yielded));
      return {};
    }
    void return_void() {}
    void unhandled_exception() { error = std::current_exception(); }
  };

  Generator(Generator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Generator& operator=(Generator&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Generator() {
    if (handle_) handle_.destroy();
  }

  // The next value; nullopt after the last.
  std::optional<T> Next() {
    if (!handle_ || handle_.done()) return std::nullopt;
    handle_.promise().value.reset();
    handle_.resume();
    if (handle_.promise().error)
      std::rethrow_exception(std::exchange(handle_.promise().error, nullptr));
    return std::move(handle_.promise().value);
  }

  // Iteration, once, so that a generator is an input range.
  class Iterator {
   public:
    using value_type = T;
    using difference_type = ptrdiff_t;
    explicit Iterator(Generator* generator) : generator_(generator), value_(generator->Next()) {}
    T& operator*() const { return *value_; }
    Iterator& operator++() {
      value_ = generator_->Next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !value_.has_value(); }

   private:
    Generator* generator_;
    mutable std::optional<T> value_;
  };
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  explicit Generator(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_GENERATOR_H_
