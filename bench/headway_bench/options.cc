#include "bench/headway_bench/options.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "absl/strings/str_format.h"
#include "check.h"

namespace headway::bench {

namespace {

constexpr uint64_t kMaxWorkers = 1024;

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string DescribeArguments(const std::vector<Argument>& arguments, std::string_view file_help) {
  std::string text;
  for (const Argument& argument : arguments) {
    if (argument.is_flag) {
      absl::StrAppendFormat(&text, "  --%-18s %s\n", argument.name, argument.help);
    } else {
      absl::StrAppendFormat(&text, "  --%-18s %s (default %d)\n",
                            absl::StrFormat("%s NUMBER", argument.name), argument.help,
                            argument.default_value);
    }
  }
  if (!file_help.empty()) absl::StrAppendFormat(&text, "  FILE                 %s\n", file_help);
  text +=
      "  -w WORKERS           threads of each process (default 1)\n"
      "  -p PROCESSES         processes on this machine (default 1)\n"
      "  --tcp                connect them over TCP, not as SpawnCluster does\n"
      "  --spin               poll instead of sleeping while idle\n"
      "  --json               print one JSON object instead of text\n"
      "  --help               print this\n";
  return text;
}

absl::StatusOr<Options> Options::Parse(std::span<const std::string_view> words,
                                       std::string_view subcommand,
                                       const std::vector<Argument>& arguments,
                                       std::string_view file_help) {
  auto error = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrFormat("%s; the arguments of %s are\n%s", what,
                                                      subcommand,
                                                      DescribeArguments(arguments, file_help)));
  };

  Options options;
  for (const Argument& argument : arguments) {
    if (!argument.is_flag) options.numbers_.emplace(argument.name, argument.default_value);
  }
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    std::optional<std::string_view> value;
    if (size_t equals = word.find('='); word.starts_with("--") && equals != word.npos) {
      value = word.substr(equals + 1);
      word = word.substr(0, equals);
    }
    // The value of a numeric argument follows an equals sign or is the next word.
    auto number = [&]() -> std::optional<uint64_t> {
      if (!value.has_value() && i + 1 < words.size()) value = words[++i];
      return value.has_value() ? ParseNumber(*value) : std::nullopt;
    };

    if (word == "-w" || word == "-p") {
      std::optional<uint64_t> count = number();
      if (!count.has_value() || *count == 0 || *count > kMaxWorkers) {
        return error(absl::StrFormat("%s needs a number from 1 to %d", word, kMaxWorkers));
      }
      (word == "-w" ? options.workers : options.processes) = static_cast<int>(*count);
      continue;
    }
    if (!word.starts_with("-")) {
      if (file_help.empty() || !options.file.empty()) {
        return error(absl::StrFormat("unexpected argument '%s'", word));
      }
      options.file = word;
      continue;
    }

    auto argument = std::ranges::find_if(
        arguments, [&](const Argument& known) { return word.substr(2) == known.name; });
    const bool known = word.starts_with("--") && argument != arguments.end();
    if (known && !argument->is_flag) {
      std::optional<uint64_t> parsed = number();
      if (!parsed.has_value() || *parsed < argument->least_value) {
        return error(absl::StrFormat("%s needs a number from %d on", word, argument->least_value));
      }
      options.numbers_[std::string(argument->name)] = *parsed;
      continue;
    }
    if (value.has_value()) return error(absl::StrFormat("%s takes no value", word));
    if (known) {
      options.flags_.emplace(argument->name);
    } else if (word == "--spin") {
      options.spin = true;
    } else if (word == "--tcp") {
      options.tcp = true;
    } else if (word == "--json") {
      options.json = true;
    } else if (word == "--help") {
      options.help = true;
    } else {
      return error(absl::StrFormat("unknown argument '%s'", word));
    }
  }
  return options;
}

uint64_t Options::number(std::string_view name) const {
  auto found = numbers_.find(name);
  HEADWAY_CHECK(found != numbers_.end());
  return found->second;
}

bool Options::flag(std::string_view name) const { return flags_.contains(name); }

}  // namespace headway::bench
