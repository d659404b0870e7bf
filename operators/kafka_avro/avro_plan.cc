#include "operators/kafka_avro/avro_plan.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "operators/kafka_avro/avro_error.h"

namespace headway::internal {
namespace {

const char* Describe(AvroKind kind) {
  switch (kind) {
    case AvroKind::kBool:
      return "a bool";
    case AvroKind::kInt:
    case AvroKind::kLong:
      return "an integer";
    case AvroKind::kFloat:
      return "a float";
    case AvroKind::kDouble:
      return "a double";
    case AvroKind::kString:
      return "a string";
    case AvroKind::kDate:
      return "a date (std::chrono::sys_days)";
    case AvroKind::kMilliseconds:
      return "a time in milliseconds";
    case AvroKind::kMicroseconds:
      return "a time in microseconds";
    case AvroKind::kNanoseconds:
      return "a time in nanoseconds";
    case AvroKind::kList:
      return "a vector";
    case AvroKind::kMap:
      return "a map";
    case AvroKind::kRecord:
      break;
  }
  return "a struct";
}

// The units in a second; 0: no timestamp.
int64_t UnitsOf(AvroKind kind) {
  return kind == AvroKind::kMilliseconds   ? 1'000
         : kind == AvroKind::kMicroseconds ? 1'000'000
         : kind == AvroKind::kNanoseconds  ? 1'000'000'000
                                           : 0;
}
int64_t UnitsOf(AvroLogicalType type) {
  return type == AvroLogicalType::kTimestampMillis   ? 1'000
         : type == AvroLogicalType::kTimestampMicros ? 1'000'000
         : type == AvroLogicalType::kTimestampNanos  ? 1'000'000'000
                                                     : 0;
}

class Resolver {
 public:
  explicit Resolver(AvroDirection direction) : reads_(direction == AvroDirection::kRead) {}

  bool Resolve(const AvroField& field, const AvroNode& node, AvroPlan& plan) {
    plan.type = node.type;
    plan.node = &node;
    if (node.type == AvroType::kUnion) return ResolveUnion(field, node, plan);
    if (!reads_ && field.is_optional) {
      return Fail("the member is optional, and the schema has no union with null");
    }
    if (node.type == AvroType::kNull) {
      return field.is_optional || Fail("it is null, and the member is not a std::optional");
    }
    switch (field.kind) {
      case AvroKind::kList:
      case AvroKind::kMap:
        if (node.type != (field.kind == AvroKind::kList ? AvroType::kArray : AvroType::kMap)) break;
        return Resolve(field.children[0], *node.children[0], plan.children.emplace_back());
      case AvroKind::kRecord:
        if (node.type != AvroType::kRecord) break;
        return ResolveRecord(field, node, plan);
      default:
        if (Fits(field.kind, node, plan)) return true;
    }
    return Fail(absl::StrCat("the schema has ", DescribeAvro(node), ", the member is ",
                             Describe(field.kind)));
  }

  absl::Status status() const { return error_.ToStatus(); }

 private:
  bool Fail(std::string reason) {
    return error_.Set(absl::StatusCode::kInvalidArgument, std::move(reason));
  }

  bool Fits(AvroKind kind, const AvroNode& node, AvroPlan& plan) const {
    const AvroType type = node.type;
    const bool is_integer = type == AvroType::kInt || type == AvroType::kLong;
    switch (kind) {
      case AvroKind::kBool:
        return type == AvroType::kBoolean;
      case AvroKind::kInt:
      case AvroKind::kLong:
        return is_integer;
      case AvroKind::kFloat:
        return type == AvroType::kFloat || (reads_ ? is_integer : type == AvroType::kDouble);
      case AvroKind::kDouble:
        return type == AvroType::kDouble || (reads_ && (is_integer || type == AvroType::kFloat));
      case AvroKind::kString:
        return type == AvroType::kString || type == AvroType::kBytes || type == AvroType::kFixed ||
               type == AvroType::kEnum;
      case AvroKind::kDate:
        return node.logical_type == AvroLogicalType::kDate;
      default:
        break;
    }
    int64_t from = UnitsOf(node.logical_type);
    int64_t to = UnitsOf(kind);
    if (!reads_) std::swap(from, to);
    if (from == 0 || to < from) return false;
    plan.factor = to / from;
    return true;
  }

  bool ResolveUnion(const AvroField& field, const AvroNode& node, AvroPlan& plan) {
    std::optional<size_t> null_branch;
    std::optional<size_t> value_branch;
    AvroField value = field;
    value.is_optional = field.is_optional && reads_;
    std::optional<AvroError> first_error;
    for (const AvroNode* const branch : node.children) {
      AvroPlan& child = plan.children.emplace_back();
      const bool is_null = branch->type == AvroType::kNull;
      if (is_null) null_branch = plan.children.size() - 1;
      if (is_null && !reads_) {
        child.node = branch;
      } else if (Resolve(value, *branch, child)) {
        if (!is_null && !value_branch.has_value()) value_branch = plan.children.size() - 1;
      } else {
        child.mismatch = std::string(error_.ToStatus().message());
        if (!is_null && !first_error.has_value()) first_error = error_;
        error_ = {};
      }
    }
    if (!value_branch.has_value()) {
      error_ = first_error.value_or(AvroError());
      return first_error.has_value() ? false : Fail("the union has no branch with a value");
    }
    if (!reads_ && field.is_optional && !null_branch.has_value()) {
      return Fail("the member is optional, and the union lacks null");
    }
    plan.null_branch = null_branch.value_or(0);
    plan.value_branch = *value_branch;
    return true;
  }

  bool ResolveRecord(const AvroField& record, const AvroNode& node, AvroPlan& plan) {
    absl::flat_hash_map<std::string_view, int> columns;
    for (const AvroField& field : record.children) {
      columns.emplace(field.name, static_cast<int>(columns.size()));
    }
    for (size_t i = 0; i < node.children.size(); ++i) {
      const auto found = columns.find(node.labels[i]);
      plan.columns.push_back(found != columns.end() ? found->second : AvroPlan::kSkipped);
      AvroPlan& child = plan.children.emplace_back();
      if (found == columns.end()) {
        child.node = node.children[i];
        if (reads_) continue;
        Fail("the schema has this field, and the record has no such column");
        return error_.AddField(node.labels[i]);
      }
      const AvroField& field = record.children[static_cast<size_t>(found->second)];
      if (!Resolve(field, *node.children[i], child)) return error_.AddField(node.labels[i]);
      columns.erase(found);
    }
    for (size_t i = 0; i < record.children.size(); ++i) {
      const AvroField& field = record.children[i];
      if (!columns.contains(field.name)) continue;
      if (!reads_ || !field.is_optional) {
        Fail(reads_ ? "the schema lacks this field, and the member is not a std::optional"
                    : "the schema lacks this field");
        return error_.AddField(field.name);
      }
      plan.columns.push_back(static_cast<int>(i));
      plan.children.emplace_back();
    }
    return true;
  }

  const bool reads_;
  AvroError error_;
};

}  // namespace

absl::StatusOr<AvroRecordPlan> ResolveAvro(AvroDirection direction, const AvroField& record,
                                           std::shared_ptr<const AvroSchema> schema) {
  AvroRecordPlan plan{.schema = std::move(schema), .plan = {}};
  Resolver resolver(direction);
  if (!resolver.Resolve(record, plan.schema->root(), plan.plan)) return resolver.status();
  return plan;
}

}  // namespace headway::internal
