// Words against a scan of single characters.
#include "operators/words.h"

#include <doctest/doctest.h>

#include <cctype>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

std::vector<std::string> WordsByHand(std::string_view text) {
  std::vector<std::string> words(1);
  for (char c : text) {
    if (std::string_view(" \t\n\f\r").find(c) == std::string_view::npos) {
      words.back().push_back(c);
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

template <class View>
std::vector<std::string> WordsOf(View text) {
  std::vector<std::string> words;
  for (View word : Words(text)) words.emplace_back(word);
  return words;
}

// As a plain text that ends where its memory ends, and as one in a batch, before letters that do
// not belong to it.
void CheckText(std::string_view text) {
  CAPTURE(text);
  const std::vector<char> exact(text.begin(), text.end());
  CHECK(WordsOf(std::string_view(exact.data(), exact.size())) == WordsByHand(text));
  for (const char beyond : {' ', 'x'}) {
    const std::string memory =
        std::string(text) + std::string(BatchString::kReadableBeyond, beyond);
    CHECK(WordsOf(BatchString(std::string_view(memory).substr(0, text.size()))) ==
          WordsByHand(text));
  }
}

TEST_CASE("words are what is between white space, at every place of a chunk") {
  for (size_t size = 0; size < 200; ++size) {
    CheckText(std::string(size, 'a'));
    CheckText(std::string(size, ' '));
    CheckText(std::string(size, ' ') + "word");
    CheckText("word" + std::string(size, '\n'));
    CheckText(std::string(size, 'a') + " b");
  }
}

TEST_CASE("the five characters of ASCII white space separate words, and no others") {
  for (int c = 0; c < 256; ++c) {
    const bool separates = std::string(" \t\n\f\r").find(static_cast<char>(c)) != std::string::npos;
    const std::string text = std::string("a") + static_cast<char>(c) + "b";
    CHECK(WordsOf(std::string_view(text)).size() == (separates ? 2 : 1));
  }
}

TEST_CASE("random texts have the words that a scan of single characters finds") {
  const uint64_t seed = internal::TestSeed("words");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::string text(random() % 300, ' ');
    const uint64_t density = 1 + random() % 20;
    for (char& c : text) c = random() % density == 0 ? " \t\n\f\r"[random() % 5] : 'x';
    CheckText(text);
  }
}

TEST_CASE("the words of a stream of lines are counted, by any number of workers") {
  for (int workers : {1, 2, 3}) {
    CAPTURE(workers);
    Collected<std::pair<std::string, int64_t>> seen;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<std::string> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) | FlatMap("split", [](BatchString line) { return Words(line); }) |
            CountFinal("count") | CollectInto("collect", seen);
      }));
      if (worker.index() == 0) {
        for (int i = 0; i < 1000; ++i) {
          input.Send(
              "a few words  and one of more than fifteen characters: abcdefghijklmnopqrst\n");
        }
        input.Send("");
        input.Send(std::string(100'000, 'x') + " few");
      }
      input.Close();
      return absl::OkStatus();
    }));
    std::vector<std::pair<std::string, int64_t>> expected = {
        {"a", 1000},     {"abcdefghijklmnopqrst", 1000},
        {"and", 1000},   {"characters:", 1000},
        {"few", 1001},   {"fifteen", 1000},
        {"more", 1000},  {"of", 1000},
        {"one", 1000},   {"than", 1000},
        {"words", 1000}, {std::string(100'000, 'x'), 1}};
    CHECK(seen.Sorted() == expected);
  }
}

TEST_CASE("words of all lengths, many blocks of them, reach their worker each once and whole") {
  const uint64_t seed = internal::TestSeed("words of all lengths");
  CAPTURE(seed);
  for (int workers : {1, 2, 3}) {
    CAPTURE(workers);
    std::mt19937_64 random(seed);
    std::map<std::string, int64_t> expected;
    std::vector<std::string> lines;
    for (int n = 0; n < 2'000; ++n) {
      std::string& line = lines.emplace_back();
      for (uint64_t i = random() % 20; i > 0; --i) {
        const std::string word(1 + random() % 20, static_cast<char>('a' + random() % 26));
        ++expected[word];
        line += word + " ";
      }
    }
    Collected<std::pair<std::string, int64_t>> seen;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<std::string> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) | FlatMap("split", [](BatchString line) { return Words(line); }) |
            CountFinal("count") | CollectInto("collect", seen);
      }));
      for (size_t n = static_cast<size_t>(worker.index()); n < lines.size();
           n += static_cast<size_t>(workers)) {
        input.Send(lines[n]);
      }
      input.Close();
      return absl::OkStatus();
    }));
    const std::vector<std::pair<std::string, int64_t>> sorted(expected.begin(), expected.end());
    CHECK(seen.Sorted() == sorted);
  }
}

}  // namespace
}  // namespace headway
