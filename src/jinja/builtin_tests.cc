#include <algorithm>
#include <cmath>

#include "jinja/failure.h"
#include "jinja/filters.h"
#include "jinja/operations.h"
#include "jinja/unicode.h"

namespace tapeline::jinja {

namespace {

using Kind = bool (*)(const Value&);

template <Kind holds>
bool is(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("test", arguments, {});
  return holds(input);
}

template <ast::Comparator comparator>
bool compares(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("test", arguments, {"other"}, 1);
  return compare(comparator, input, bound.value(0));
}

bool is_true(const Value& value) { return value.is_bool() && value.as_bool(); }
bool is_false(const Value& value) { return value.is_bool() && !value.as_bool(); }
bool is_boolean(const Value& value) { return value.is_bool(); }
bool is_callable(const Value& value) {
  return value.is_undefined() || (value.is_object() && value.as_object()->callable());
}
bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined(const Value& value) { return value.is_undefined(); }
bool is_none(const Value& value) { return value.is_none(); }
bool is_float(const Value& value) { return value.is_double(); }
bool is_integer(const Value& value) { return value.is_int(); }
bool is_number(const Value& value) { return as_number(value).has_value(); }
bool is_string(const Value& value) { return value.is_string(); }
bool is_mapping(const Value& value) { return value.is_dict(); }
bool is_escaped(const Value&) { return false; }

bool is_iterable(const Value& value) {
  if (!value.is_object()) return try_items_of(value).has_value();
  // Asking a generator would use it up.
  return value.type_name() == "generator" || value.as_object()->iterate().has_value();
}

bool is_sequence(const Value& value) {
  if (!value.is_object()) return is_iterable(value);
  const std::string type = value.type_name();
  if (type == "generator" || type.starts_with("dict_")) return false;
  return value.as_object()->iterate().has_value();
}

bool is_lower_case(const Value& value) {
  const std::string text = value.text();
  return to_lower(text) == text && to_upper(text) != text;
}

bool is_upper_case(const Value& value) {
  const std::string text = value.text();
  return to_upper(text) == text && to_lower(text) != text;
}

// value % divisor == 0, in Python's arithmetic.
bool divides(Runtime& runtime, const Value& value, const Value& divisor, int rest) {
  return arithmetic(runtime, ast::Operator::modulo, value, divisor).equals(Value(rest));
}

bool test_even(Runtime& runtime, const Value& input, const Arguments&) {
  return divides(runtime, input, Value(2), 0);
}
bool test_odd(Runtime& runtime, const Value& input, const Arguments&) {
  return divides(runtime, input, Value(2), 1);
}
bool test_divisibleby(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("divisibleby", arguments, {"num"}, 1);
  return divides(runtime, input, bound.value(0), 0);
}
bool test_sameas(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("sameas", arguments, {"other"}, 1);
  return input.same_as(bound.value(0));
}
bool test_in(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("in", arguments, {"seq"}, 1);
  return contains(bound.value(0), input);
}
bool test_filter(Runtime&, const Value& input, const Arguments&) {
  require_hashable(input);
  return input.is_string() && find_filter(input.as_string()) != nullptr;
}
bool test_test(Runtime&, const Value& input, const Arguments&) {
  require_hashable(input);
  return input.is_string() && find_test(input.as_string()) != nullptr;
}

using ast::Comparator;

constexpr std::pair<std::string_view, TestFunction> kTests[] = {
    {"boolean", is<is_boolean>},
    {"callable", is<is_callable>},
    {"defined", is<is_defined>},
    {"divisibleby", test_divisibleby},
    {"eq", compares<Comparator::equal>},
    {"equalto", compares<Comparator::equal>},
    {"escaped", is<is_escaped>},
    {"even", test_even},
    {"false", is<is_false>},
    {"filter", test_filter},
    {"float", is<is_float>},
    {"ge", compares<Comparator::greater_equal>},
    {"greaterthan", compares<Comparator::greater>},
    {"gt", compares<Comparator::greater>},
    {"in", test_in},
    {"integer", is<is_integer>},
    {"iterable", is<is_iterable>},
    {"le", compares<Comparator::less_equal>},
    {"lessthan", compares<Comparator::less>},
    {"lower", is<is_lower_case>},
    {"lt", compares<Comparator::less>},
    {"mapping", is<is_mapping>},
    {"ne", compares<Comparator::unequal>},
    {"none", is<is_none>},
    {"number", is<is_number>},
    {"odd", test_odd},
    {"sameas", test_sameas},
    {"sequence", is<is_sequence>},
    {"string", is<is_string>},
    {"test", test_test},
    {"true", is<is_true>},
    {"undefined", is<is_undefined>},
    {"upper", is<is_upper_case>},
    {"==", compares<Comparator::equal>},
    {"!=", compares<Comparator::unequal>},
    {"<", compares<Comparator::less>},
    {"<=", compares<Comparator::less_equal>},
    {">", compares<Comparator::greater>},
    {">=", compares<Comparator::greater_equal>},
};

}  // namespace

TestFunction find_test(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTests), std::end(kTests),
                                   [name](const auto& test) { return test.first == name; });
  return found == std::end(kTests) ? nullptr : found->second;
}

}  // namespace tapeline::jinja
