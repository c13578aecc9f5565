#include "bertcram/monitor/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <nlohmann/json.hpp>
#include <system_error>

#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/log.h"
#include "host_name.h"

namespace bertcram::monitor {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they are in memory");

/// A protobuf message as it is written: fields in the order of the calls.
class Message {
 public:
  Message& varint(int field, uint64_t value) {
    key(field, 0);
    raw_varint(value);
    return *this;
  }
  Message& fixed64(int field, double value) {
    key(field, 1);
    bytes_ += bytes_of(value);
    return *this;
  }
  Message& fixed32(int field, float value) {
    key(field, 5);
    bytes_ += bytes_of(value);
    return *this;
  }
  Message& text(int field, const std::string& value) {
    key(field, 2);
    raw_varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& doubles(int field, const std::vector<double>& values) {
    std::string packed;
    for (const double value : values) {
      packed += bytes_of(value);
    }
    return text(field, packed);
  }
  Message& message(int field, const Message& value) { return text(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

  template <class Number>
  static std::string bytes_of(Number value) {
    const auto raw = std::bit_cast<std::array<char, sizeof(Number)>>(value);
    return {raw.begin(), raw.end()};
  }

 private:
  void key(int field, int wire_type) {
    raw_varint(static_cast<uint64_t>(field) << 3U | static_cast<uint64_t>(wire_type));
  }
  void raw_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7U) {
      bytes_ += static_cast<char>(value | 0x80U);
    }
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

// Field numbers of tensorboard/compat/proto/{event,summary,tensor}.proto.
Message event_at(int64_t step) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  Message event;
  event.fixed64(1, now.count()).varint(2, static_cast<uint64_t>(step));
  return event;
}

Message with_summary(int64_t step, const Message& summary) {
  Message event = event_at(step);
  event.message(5, summary);
  return event;
}

uint32_t masked(uint32_t crc) { return (crc >> 15U | crc << 17U) + 0xa282ead8U; }

}  // namespace

uint32_t crc32c(std::span<const char> bytes) {
  static const auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = value >> 1U ^ (0x82f63b78U & (0U - (value & 1U)));
      }
      table[i] = value;
    }
    return table;
  }();
  uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc = crc >> 8U ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xffU];
  }
  return ~crc;
}

std::string scalar_tag(const std::string& key, bool is_evaluation) {
  constexpr std::string_view kEvaluation = "eval_";
  return !is_evaluation ? "train/" + key
                        : "eval/" + (key.starts_with(kEvaluation) ? key.substr(kEvaluation.size()) : key);
}

void Histogram::add(const Histogram& other) {
  if (count == 0) {
    *this = other;
    return;
  }
  BC_CHECK(limits == other.limits);
  smallest = std::min(smallest, other.smallest);
  largest = std::max(largest, other.largest);
  count += other.count;
  sum += other.sum;
  sum_of_squares += other.sum_of_squares;
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] += other.counts[i];
  }
}

EventFile::EventFile(const std::filesystem::path& folder, int64_t first_step) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  path_ = folder / cat("events.out.tfevents.", seconds, ".", host_name(), ".", ::getpid());
  for (int session = 0; descriptor_ < 0; ++session) {  // two sessions of one process within a second
    const std::filesystem::path path = cat(path_.string(), ".", session);
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor_ < 0 && errno != EEXIST) {
      give_up(errno);
      return;
    }
    path_ = descriptor_ < 0 ? path_ : path;
  }
  record(event_at(0).text(3, "brain.Event:2").bytes());
  restart(first_step);  // also the first step of all: a session may have been killed before its first checkpoint
}

EventFile::~EventFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void EventFile::scalars(const nlohmann::json& line) {
  const auto step = line.find("step");
  if (step == line.end() || !step->is_number_integer() || line.contains("event")) {
    return;
  }
  Message summary;
  for (const auto& [key, value] : line.items()) {
    if (value.is_number() && key != "step") {
      summary.message(1, Message()
                             .text(1, scalar_tag(key, line.contains("eval_loss")))
                             .fixed32(2, static_cast<float>(value.get<double>())));
    }
  }
  record(with_summary(step->get<int64_t>(), summary).bytes());
}

void EventFile::text(const std::string& tag, int64_t step, const std::string& markdown) {
  constexpr int kString = 7;  // DT_STRING
  const Message tensor = Message().varint(1, kString).message(2, Message()).text(8, markdown);
  const Message metadata = Message().message(1, Message().text(1, "text"));
  record(
      with_summary(step, Message().message(1, Message().text(1, tag).message(8, tensor).message(9, metadata))).bytes());
}

void EventFile::histogram(const std::string& tag, int64_t step, const Histogram& histogram) {
  const Message proto = Message()
                            .fixed64(1, histogram.smallest)
                            .fixed64(2, histogram.largest)
                            .fixed64(3, histogram.count)
                            .fixed64(4, histogram.sum)
                            .fixed64(5, histogram.sum_of_squares)
                            .doubles(6, histogram.limits)
                            .doubles(7, histogram.counts);
  record(with_summary(step, Message().message(1, Message().text(1, tag).message(5, proto))).bytes());
}

void EventFile::restart(int64_t step) {
  constexpr uint64_t kStart = 1;
  record(event_at(step).message(7, Message().varint(1, kStart)).bytes());
}

void EventFile::record(const std::string& event) {
  if (descriptor_ < 0) {
    return;
  }
  const std::string length = Message::bytes_of(static_cast<uint64_t>(event.size()));
  const std::string bytes =
      cat(length, Message::bytes_of(masked(crc32c(length))), event, Message::bytes_of(masked(crc32c(event))));
  if (const int error_number = util::write_fully(descriptor_, std::as_bytes(std::span(bytes))); error_number != 0) {
    give_up(error_number);
  }
}

void EventFile::give_up(int error_number) {
  util::log_warning("monitor",
                    cat(path_.string(), " cannot be written (", std::generic_category().message(error_number),
                        "): no more events for tensorboard in this session"));
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  descriptor_ = -1;
}

}  // namespace bertcram::monitor
