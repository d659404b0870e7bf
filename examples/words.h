#ifndef HEADWAY_EXAMPLES_WORDS_H_
#define HEADWAY_EXAMPLES_WORDS_H_

#include <cstddef>
#include <iterator>
#include <string_view>

// The words of a text, as a range of views: what stands between white space.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  class Iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(std::string_view text) : next_(text.data()), end_(text.data() + text.size()) {
      ++*this;
    }
    std::string_view operator*() const { return word_; }
    Iterator& operator++() {
      while (next_ != end_ && IsSpace(*next_)) ++next_;
      const char* start = next_;
      while (next_ != end_ && !IsSpace(*next_)) ++next_;
      word_ = std::string_view(start, static_cast<size_t>(next_ - start));
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return word_.empty(); }

   private:
    static bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
    const char* next_ = nullptr;
    const char* end_ = nullptr;
    std::string_view word_;
  };
  Iterator begin() const { return Iterator(text_); }
  std::default_sentinel_t end() const { return {}; }

 private:
  std::string_view text_;
};

#endif  // HEADWAY_EXAMPLES_WORDS_H_
