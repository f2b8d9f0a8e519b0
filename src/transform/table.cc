#include "transform/table.h"

#include <algorithm>

#include "transform/object.h"
#include "transform/values.h"

namespace tapeline::transform {
namespace {

using Names = std::shared_ptr<const std::vector<std::string>>;

/// Values in order, each with a name: a row, the rows, the columns.
class Sequence final : public jinja::HostObject {
 public:
  Sequence(std::string type_name, std::vector<jinja::Value> values, Names names)
      : type_name_(std::move(type_name)), values_(std::move(values)), names_(std::move(names)) {}

  std::string type_name() const override { return type_name_; }
  bool truth() const override { return !values_.empty(); }
  std::optional<std::vector<jinja::Value>> iterate() override { return values_; }
  std::string text() const override {
    return "<" + type_name_ + ": " + jinja::Value::tuple(values_).repr() + ">";
  }

  Result<jinja::Value> item(const jinja::Value& key) override {
    if (key.is_int()) {
      const auto size = static_cast<std::int64_t>(values_.size());
      const auto at = key.as_int() < 0 ? key.as_int() + size : key.as_int();
      if (at < 0 || at >= size) return jinja::Value::undefined(key.text());
      return values_[static_cast<std::size_t>(at)];
    }
    return key.is_string() ? attribute(key.as_string()) : jinja::Value::undefined(key.text());
  }

  Result<jinja::Value> attribute(const std::string& name) override {
    if (names_)
      for (std::size_t i = 0; i < names_->size() && i < values_.size(); ++i)
        if ((*names_)[i] == name) return values_[i];
    return jinja::Value::undefined(name);
  }

  Result<jinja::Value> call_method(const std::string& name,
                                   const jinja::Arguments& arguments) override {
    if (name == "values") return jinja::Value::list(values_);
    if (name == "keys") {
      std::vector<jinja::Value> keys;
      if (names_) keys.assign(names_->begin(), names_->end());
      return jinja::Value::list(std::move(keys));
    }
    if (name == "items" || name == "dict") {
      std::vector<std::pair<jinja::Value, jinja::Value>> members;
      for (std::size_t i = 0; names_ && i < names_->size(); ++i)
        members.emplace_back((*names_)[i], values_[i]);
      if (name == "dict") return jinja::Value::dict(std::move(members));
      std::vector<jinja::Value> pairs;
      for (auto& [key, value] : members) pairs.push_back(jinja::Value::tuple({key, value}));
      return jinja::Value::list(std::move(pairs));
    }
    if (name == "get") {
      const auto found = TRY(item(argument(arguments, 0, "key")));
      return found.is_undefined() ? argument(arguments, 1, "default") : found;
    }
    return HostObject::call_method(name, arguments);
  }

 private:
  std::string type_name_;
  std::vector<jinja::Value> values_;
  Names names_;
};

/// One column of a table: its values, and its name.
class TableColumn final : public jinja::HostObject {
 public:
  TableColumn(std::string name, std::int64_t index, std::vector<jinja::Value> values)
      : name_(std::move(name)), index_(index), values_(std::move(values)) {}

  std::string type_name() const override { return "agate.Column"; }
  std::optional<std::vector<jinja::Value>> iterate() override { return values_; }
  std::string text() const override { return "<agate.Column: " + name_ + ">"; }
  Result<jinja::Value> attribute(const std::string& name) override {
    if (name == "name") return jinja::Value(name_);
    if (name == "index") return jinja::Value(index_);
    return jinja::Value::undefined(name);
  }
  Result<jinja::Value> item(const jinja::Value& key) override {
    if (!key.is_int()) return jinja::Value::undefined(key.text());
    const auto size = static_cast<std::int64_t>(values_.size());
    const auto at = key.as_int() < 0 ? key.as_int() + size : key.as_int();
    if (at < 0 || at >= size) return jinja::Value::undefined(key.text());
    return values_[static_cast<std::size_t>(at)];
  }
  Result<jinja::Value> call_method(const std::string& name,
                                   const jinja::Arguments& arguments) override {
    if (name == "values") return jinja::Value::list(values_);
    if (name == "values_distinct") {
      std::vector<jinja::Value> distinct;
      for (const auto& value : values_)
        if (std::ranges::none_of(distinct, [&](const auto& seen) { return seen.equals(value); }))
          distinct.push_back(value);
      return jinja::Value::list(std::move(distinct));
    }
    if (name == "values_without_nulls") {
      std::vector<jinja::Value> some;
      std::ranges::copy_if(values_, std::back_inserter(some),
                           [](const auto& value) { return !value.is_none(); });
      return jinja::Value::list(std::move(some));
    }
    return HostObject::call_method(name, arguments);
  }

 private:
  std::string name_;
  std::int64_t index_;
  std::vector<jinja::Value> values_;
};

class Table final : public jinja::HostObject {
 public:
  explicit Table(const warehouse::Rows& rows) {
    auto names = std::make_shared<std::vector<std::string>>();
    for (const auto& column : rows.columns) names->push_back(column.name);
    names_ = names;
    std::vector<std::vector<jinja::Value>> columns(rows.columns.size());
    for (const auto& row : rows.rows) {
      std::vector<jinja::Value> cells;
      for (std::size_t i = 0; i < row.size(); ++i) {
        cells.push_back(to_jinja(row[i]));
        columns[i].push_back(cells.back());
      }
      rows_.push_back(host_value<Sequence>("agate.Row", std::move(cells), names_));
    }
    for (std::size_t i = 0; i < columns.size(); ++i)
      columns_.push_back(host_value<TableColumn>((*names_)[i], static_cast<std::int64_t>(i),
                                                 std::move(columns[i])));
  }

  std::string type_name() const override { return "agate.Table"; }
  std::optional<std::vector<jinja::Value>> iterate() override { return rows_; }
  std::string text() const override { return "<agate.Table>"; }
  Result<jinja::Value> attribute(const std::string& name) override {
    if (name == "rows") return host_value<Sequence>("agate.MappedSequence", rows_, nullptr);
    if (name == "columns") return host_value<Sequence>("agate.MappedSequence", columns_, names_);
    if (name == "column_names") return jinja::Value::tuple({names_->begin(), names_->end()});
    return jinja::Value::undefined(name);
  }
  Result<jinja::Value> item(const jinja::Value& key) override {
    if (key.is_int() && key.as_int() >= 0 && key.as_int() < static_cast<std::int64_t>(rows_.size()))
      return rows_[static_cast<std::size_t>(key.as_int())];
    return jinja::Value::undefined(key.text());
  }

 private:
  Names names_;
  std::vector<jinja::Value> rows_;
  std::vector<jinja::Value> columns_;
};

}  // namespace

jinja::Value table_value(const warehouse::Rows& rows) { return host_value<Table>(rows); }

}  // namespace tapeline::transform
