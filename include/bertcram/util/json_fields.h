#pragma once
// Reading JSON files of others: every complaint names the file, the key, what was found and what is expected.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/text.h"

namespace bertcram::util {

/// One JSON object of a file. Holds a reference: the document must stay alive.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) {
      throw DataError(cat(where_, ": expected a JSON object, found ", shown(object_)));
    }
  }

  const std::string& where() const { return where_; }

  /// The value of `key`, or nullptr if it is absent or null.
  const nlohmann::json* find(const std::string& key) const {
    const auto entry = object_.find(key);
    return entry == object_.end() || entry->is_null() ? nullptr : &*entry;
  }

  template <class T>
  T get(const std::string& key, T fallback) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) {
      return fallback;
    }
    return require_type<T>(key, *value);
  }

  /// The value of `key`, which has to be there.
  template <class T>
  T at(const std::string& key) const {
    return require_type<T>(key, member(key));
  }

  JsonFields object(const std::string& key) const { return {member(key), cat(where_, ": ", key)}; }
  const nlohmann::json& raw() const { return object_; }

  /// The value of `key`, of any kind. @throws DataError if it is absent or null
  const nlohmann::json& member(const std::string& key) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) {
      fail(key, "is missing");
    }
    return *value;
  }

  /// Refuses every value but one. The message is for tokenizers, whose other values would give other ids.
  template <class T>
  void require(const std::string& key, const T& expected, const T& fallback) const {
    if (get<T>(key, fallback) != expected) {
      const nlohmann::json* value = find(key);
      fail(key, cat(value == nullptr ? "is missing" : "is " + shown(*value), "; only ", nlohmann::json(expected).dump(),
                    " is supported, as it would give other ids"));
    }
  }

  [[noreturn]] void fail(const std::string& key, const std::string& complaint) const {
    throw DataError(cat(where_, ": '", key, "' ", complaint));
  }

  static std::string shown(const nlohmann::json& value) { return excerpt(json_text(value)); }

 private:
  template <class T>
  T require_type(const std::string& key, const nlohmann::json& value) const {
    if (!is_a<T>(value)) {
      fail(key, cat("has the wrong type: ", shown(value)));
    }
    return value.get<T>();
  }

  template <class T>
  static bool is_a(const nlohmann::json& value) {
    if constexpr (std::is_same_v<T, bool>) {
      return value.is_boolean();
    } else if constexpr (std::is_same_v<T, std::string>) {
      return value.is_string();
    } else if constexpr (std::is_floating_point_v<T>) {
      return value.is_number();
    } else {
      return value.is_number_integer();
    }
  }

  const nlohmann::json& object_;
  std::string where_;
};

/// Parses a JSON file. @throws DataError if it is missing, empty, not JSON, or nested too deep
inline nlohmann::json parse_json_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  try {
    return parse_json(file.text());
  } catch (const nlohmann::json::exception& error) {
    throw DataError(cat(path.string(), ": not valid JSON (", excerpt(json_error_text(error.what()), 100),
                        "); the file is damaged or cut off, fetch or write it again"));
  }
}

}  // namespace bertcram::util
