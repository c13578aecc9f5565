#include "bertcram/data/shard.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdio>
#include <cstring>

#include "bertcram/util/error.h"
#include "bertcram/util/hash.h"

namespace bertcram::data {
namespace {

static_assert(std::endian::native == std::endian::little, "shards are little-endian and read in place");

constexpr std::array<char, 8> kMagic = {'B', 'C', 'S', 'H', 'A', 'R', 'D', '\n'};
constexpr uint32_t kVersion = 1;
constexpr size_t kBlockBytes = size_t{1} << 20;

/// The first 64 bytes of a shard, as they stand in the file.
struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t bytes_per_id = 0;
  uint64_t seq_len = 0;
  uint64_t rows = 0;
  uint64_t block_bytes = kBlockBytes;
  uint64_t table_hash = 0;
  uint64_t tokenizer_hash = 0;
  uint64_t header_hash = 0;  ///< of the 56 bytes before it
};
static_assert(sizeof(Header) == 64);

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> header_bytes(const Header& header) { return std::as_bytes(std::span(&header, 1)); }

uint64_t hash_of_header(const Header& header) { return util::hash64(as_text(header_bytes(header).first(56))); }

std::string hex(uint64_t hash) {
  std::array<char, 17> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return digits.data();
}

std::span<const std::byte> table_bytes(const std::vector<uint64_t>& table) { return std::as_bytes(std::span(table)); }

}  // namespace

int64_t bytes_per_id(int64_t vocab_size) { return vocab_size <= 65'536 ? 2 : 4; }

ShardWriter::ShardWriter(const std::filesystem::path& path, const ShardShape& shape) : file_(path), shape_(shape) {
  const Header placeholder;
  file_.write(header_bytes(placeholder));
  block_.reserve(kBlockBytes);
}

ShardWriter::~ShardWriter() = default;

void ShardWriter::flush_block() {
  block_hashes_.push_back(util::hash64(as_text(block_)));
  file_.write(block_);
  block_.clear();
}

/// A block holds a whole number of ids, but not of rows.
template <class Id>
void ShardWriter::append_ids(std::span<const int32_t> ids) {
  while (!ids.empty()) {
    const size_t filled = block_.size();
    const size_t count = std::min(ids.size(), (kBlockBytes - filled) / sizeof(Id));
    block_.resize(filled + count * sizeof(Id));
    for (size_t i = 0; i < count; ++i) {
      const auto id = static_cast<Id>(ids[i]);
      std::memcpy(block_.data() + filled + i * sizeof(Id), &id, sizeof(Id));
    }
    ids = ids.subspan(count);
    if (block_.size() == kBlockBytes) {
      flush_block();
    }
  }
}

void ShardWriter::add_row(std::span<const int32_t> row) {
  BC_CHECK(static_cast<int64_t>(row.size()) == shape_.seq_len);
  if (shape_.bytes_per_id == 2) {
    append_ids<uint16_t>(row);
  } else {
    append_ids<uint32_t>(row);
  }
  ++rows_;
}

std::string ShardWriter::commit() {
  if (!block_.empty()) {
    flush_block();
  }
  file_.write(table_bytes(block_hashes_));
  Header header;
  header.bytes_per_id = static_cast<uint32_t>(shape_.bytes_per_id);
  header.seq_len = static_cast<uint64_t>(shape_.seq_len);
  header.rows = static_cast<uint64_t>(rows_);
  header.tokenizer_hash = shape_.tokenizer_hash;
  header.table_hash = util::hash64(as_text(table_bytes(block_hashes_)));
  header.header_hash = hash_of_header(header);
  file_.write_at(0, header_bytes(header));
  file_.commit();
  return hex(header.header_hash);
}

struct ShardReader::CheckedBlocks {
  explicit CheckedBlocks(size_t count) : flags(count) {}
  std::vector<std::atomic<bool>> flags;
};

ShardReader::~ShardReader() = default;
ShardReader::ShardReader(ShardReader&&) noexcept = default;
ShardReader& ShardReader::operator=(ShardReader&&) noexcept = default;

ShardReader::ShardReader(const std::filesystem::path& path) : path_(path), file_(path) {
  const auto refuse = [&](const std::string& what) {
    throw DataError(cat(path.string(), ": ", what, "; make it again with 'bertcram pack --overwrite'"));
  };
  Header header;
  if (file_.size() < sizeof(Header)) {
    refuse(cat("truncated: ", file_.size(), " bytes, a shard has at least ", sizeof(Header)));
  }
  std::memcpy(&header, file_.bytes().data(), sizeof(Header));
  if (header.magic != kMagic) {
    refuse("not a bertcram shard");
  }
  if (header.version != kVersion) {
    refuse(cat("shard version ", header.version, ", this program reads version ", kVersion));
  }
  if (header.header_hash != hash_of_header(header) || (header.bytes_per_id != 2 && header.bytes_per_id != 4) ||
      header.seq_len == 0 || header.block_bytes != kBlockBytes) {
    refuse("damaged header");
  }
  uint64_t payload_bytes = 0;
  if (__builtin_mul_overflow(header.rows, header.seq_len, &payload_bytes) ||
      __builtin_mul_overflow(payload_bytes, header.bytes_per_id, &payload_bytes) || payload_bytes > file_.size()) {
    refuse(cat("has ", file_.size(), " bytes, too few for ", header.rows, " rows of ", header.seq_len,
               " tokens (truncated?)"));
  }
  const uint64_t blocks = (payload_bytes + kBlockBytes - 1) / kBlockBytes;
  const uint64_t expected = sizeof(Header) + payload_bytes + blocks * sizeof(uint64_t);
  if (file_.size() != expected) {
    refuse(cat("has ", file_.size(), " bytes, its header promises ", expected, " (truncated or overwritten)"));
  }
  shape_ = {.seq_len = static_cast<int64_t>(header.seq_len),
            .bytes_per_id = static_cast<int64_t>(header.bytes_per_id),
            .tokenizer_hash = header.tokenizer_hash};
  rows_ = static_cast<int64_t>(header.rows);
  header_hash_ = header.header_hash;
  payload_ = file_.bytes().subspan(sizeof(Header), payload_bytes);
  const auto table = file_.bytes().subspan(sizeof(Header) + payload_bytes);
  block_hashes_.resize(blocks);
  if (!table.empty()) {
    std::memcpy(block_hashes_.data(), table.data(), table.size());
  }
  if (util::hash64(as_text(table)) != header.table_hash) {
    refuse("damaged checksum table");
  }
  checked_ = std::make_unique<CheckedBlocks>(blocks);
}

std::string ShardReader::header_hash() const { return hex(header_hash_); }

void ShardReader::verify_block(int64_t block) const {
  auto& is_checked = checked_->flags[static_cast<size_t>(block)];
  if (is_checked.load(std::memory_order_relaxed)) {
    return;
  }
  const size_t begin = static_cast<size_t>(block) * kBlockBytes;
  const auto bytes = payload_.subspan(begin, std::min(kBlockBytes, payload_.size() - begin));
  if (util::hash64(as_text(bytes)) != block_hashes_[static_cast<size_t>(block)]) {
    throw DataError(cat(path_.string(), ": damaged between bytes ", sizeof(Header) + begin, " and ",
                        sizeof(Header) + begin + bytes.size(),
                        " (checksum mismatch); make it again with 'bertcram pack --overwrite'"));
  }
  is_checked.store(true, std::memory_order_relaxed);
}

void ShardReader::verify(const util::StopFlag& stop) const {
  for (size_t block = 0; block < block_hashes_.size(); ++block) {
    util::throw_if_stopped(stop, "stopped while checking the packed data");
    verify_block(static_cast<int64_t>(block));
  }
}

void ShardReader::read_row(int64_t row, std::span<int32_t> ids) const {
  BC_CHECK(row >= 0 && row < rows_ && static_cast<int64_t>(ids.size()) == shape_.seq_len);
  const auto width = static_cast<size_t>(shape_.bytes_per_id);
  const size_t begin = static_cast<size_t>(row) * ids.size() * width;
  const size_t end = begin + ids.size() * width;
  for (size_t block = begin / kBlockBytes; block <= (end - 1) / kBlockBytes; ++block) {
    verify_block(static_cast<int64_t>(block));
  }
  const std::byte* from = payload_.data() + begin;
  for (size_t i = 0; i < ids.size(); ++i, from += width) {
    uint32_t id = 0;
    std::memcpy(&id, from, width);
    ids[i] = static_cast<int32_t>(id);
  }
}

}  // namespace bertcram::data
