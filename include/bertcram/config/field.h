#pragma once
// One field list drives everything that is known about an option: reading YAML, --set, flags, help text, the dump, the
// fingerprint, equality and range validation. A config struct names each field exactly twice: as a member with its
// default, and in `visit`:
//
//   struct ScheduleConfig {
//     double warmup_frac = 0.1;
//     void visit(FieldVisitor& v) { v("warmup_frac", warmup_frac, "share of the budget …", InRange{0.0, 1.0}); }
//   };

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bertcram::config {

// Constraints, given after a field's help text.
struct AtLeast {
  double bound;
};
struct Above {
  double bound;
};
struct InRange {
  double low, high;
};                   ///< both ends included
struct Duration {};  ///< a string such as 90s, 15m, 100h, 1h30m; empty = not set
struct Bytes {};     ///< a string such as 8GiB, 500MB; empty = not set
/// The word `auto` stands for 0.
struct ZeroIsAuto {};
/// One of several fields of which one is set: where a later source sets one, it takes the place of an earlier source's.
struct Alternative {};
/// The field does not change what is computed (a path, a thread count): left out of the fingerprint.
struct Untracked {};
/// It may hold a password: left out of what runs write down, which gets shown and shared.
struct Private {};

/// An enum field: its value as one of the words that its `enum_words(E)` lists in order of the enumerators.
struct EnumRef {
  std::vector<std::string> words;
  std::function<size_t()> get;
  std::function<void(size_t)> set;
};

/// One option of a config struct, by reference: valid while the struct lives.
struct Field {
  std::string path;  ///< dotted, e.g. "schedule.warmup_frac"
  std::string help;  ///< meaning and unit
  std::variant<int64_t*, double*, bool*, std::string*, std::vector<std::string>*, EnumRef> value;
  std::string range;                    ///< the constraint in words, e.g. "from 0 to 1"; empty if there is none
  std::function<bool(double)> accepts;  ///< the numeric constraint; empty if there is none
  bool is_duration = false;
  bool is_bytes = false;
  bool zero_is_auto = false;
  bool is_alternative = false;
  bool is_tracked = true;
  bool is_private = false;

  std::string text() const;  ///< the present value as it would stand in YAML
  std::string kind() const;  ///< what it may be: "a whole number from 1 to 9", "true or false", "text", "one of a|b"
  /// Reads a scalar, a whole number also as 2e6 or 2M (util::parse_count). Returns what is wrong with it, or nullopt after
  /// storing it. A list takes comma-separated items.
  std::optional<std::string> assign(const std::string& scalar) const;
  std::optional<std::string> assign_list(std::vector<std::string> items) const;
};

/// Collects the fields of a struct in the order of its `visit`.
class FieldVisitor {
 public:
  template <class T, class... Constraints>
  void operator()(const char* name, T& member, const char* help, Constraints... constraints) {
    Field field;
    field.path = prefix_ + name;
    field.help = help;
    if constexpr (std::is_enum_v<T>) {
      EnumRef ref;
      for (const std::string_view word : enum_words(T{})) {
        ref.words.emplace_back(word);
      }
      ref.get = [&member] { return static_cast<size_t>(member); };
      ref.set = [&member](size_t index) { member = static_cast<T>(index); };
      field.value = std::move(ref);
    } else {
      field.value = &member;
    }
    (constrain(field, constraints), ...);
    fields_.push_back(std::move(field));
  }

  /// A nested struct: its fields get the prefix `name.`.
  template <class Section>
  void section(const char* name, Section& member) {
    const std::string outer = prefix_;
    prefix_ += std::string(name) + ".";
    member.visit(*this);
    prefix_ = outer;
  }

  std::vector<Field> take() { return std::move(fields_); }

 private:
  static void constrain(Field& field, AtLeast c);
  static void constrain(Field& field, Above c);
  static void constrain(Field& field, InRange c);
  static void constrain(Field& field, Duration c);
  static void constrain(Field& field, Bytes c);
  static void constrain(Field& field, ZeroIsAuto c);
  static void constrain(Field& field, Alternative c);
  static void constrain(Field& field, Untracked c);
  static void constrain(Field& field, Private c);

  std::string prefix_;
  std::vector<Field> fields_;
};

/// All fields of a config struct.
template <class Config>
std::vector<Field> fields_of(Config& config) {
  FieldVisitor visitor;
  config.visit(visitor);
  return visitor.take();
}

}  // namespace bertcram::config
