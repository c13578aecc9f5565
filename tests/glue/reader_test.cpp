#include "bertcram/glue/reader.h"

#include <gtest/gtest.h>

#include <cmath>

#include "scratch.h"

namespace bertcram::glue {
namespace {

using testing::contains;
using testing::message_of;
using testing::Scratch;

constexpr const char* kRteHeader = "index\tsentence1\tsentence2\tlabel\n";

Dataset read_train(const char* task, const Scratch& data) {
  const TaskSpec& spec = find_task(task);
  return read_split(spec, *spec.train, data.root());
}

/// The DataError for an RTE train file with these bytes.
std::string rte_refusal(const std::string& content) {
  const Scratch data;
  data.write("RTE/train.tsv", content);
  return message_of<DataError>([&] { read_train("rte", data); });
}

TEST(Reader, KeepsTextLabelsAndLineNumbers) {
  const Scratch data;
  data.write("RTE/train.tsv", std::string(kRteHeader) + "0\tA b.\t c \tnot_entailment\n1\td\te\tentailment\n");
  const Dataset train = read_train("rte", data);
  ASSERT_EQ(train.size(), 2);
  EXPECT_EQ(train.examples[0].text_a, "A b.");
  EXPECT_EQ(train.examples[0].text_b, " c ");
  EXPECT_EQ(train.examples[0].label, 1);
  EXPECT_EQ(train.examples[0].line, 2);
  EXPECT_TRUE(std::isnan(train.examples[0].target));
  EXPECT_EQ(train.examples[1].label, 0);
  EXPECT_EQ(train.label_counts, (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(train.labelling, Labelling::kLabelled);
  EXPECT_EQ(train.file, data.root() / "RTE/train.tsv");
}

TEST(Reader, TestSetsCountTheirRows) {
  const TaskSpec& task = find_task("rte");
  const auto read = [&](const std::string& rows) {
    const Scratch data;
    data.write("RTE/test.tsv", "index\tsentence1\tsentence2\n" + rows);
    return read_split(task, task.test.front(), data.root()).size();
  };
  const auto refusal = [&](const std::string& rows) { return message_of<DataError>([&] { read(rows); }); };
  EXPECT_EQ(read("0\ta\tb\n1\tc\td\n"), 2);
  EXPECT_TRUE(contains(refusal("1\ta\tb\n0\tc\td\n"), "test.tsv:2: index is '1', expected 0")) << "another order";
  EXPECT_TRUE(contains(refusal("0\ta\tb\n0\tc\td\n"), "test.tsv:3: index is '0', expected 1"));
  EXPECT_TRUE(contains(refusal("x\ta\tb\n"), "test.tsv:2: index is 'x'"));
}

TEST(Reader, TestSetsInJsonLinesHaveNoLabelsAndCountTheirRows) {
  const TaskSpec& task = find_task("rte");
  const auto read = [&](const std::string& first, const std::string& second) {
    const Scratch data;
    const std::string texts = "{\"premise\": \"a\", \"hypothesis\": \"b\"";
    data.write("RTE/test.jsonl", texts + first + "}\n\n" + texts + second + "}\n");
    return read_split(task, task.test.front(), data.root()).size();
  };
  const auto refusal = [&](const std::string& first, const std::string& second) {
    return message_of<DataError>([&] { read(first, second); });
  };
  EXPECT_EQ(read(", \"idx\": 0", ", \"idx\": 1"), 2);
  EXPECT_EQ(read("", ""), 2);
  EXPECT_TRUE(contains(refusal(", \"idx\": 1", ", \"idx\": 0"), "test.jsonl:1: idx is '1', expected 0"));
  EXPECT_TRUE(contains(refusal(", \"idx\": 0", ", \"idx\": \"x\""), "test.jsonl:3: idx is 'x', expected 1"));
  EXPECT_TRUE(contains(refusal("", ", \"label\": \"entailment\""),
                       "test.jsonl:3: a member 'label', which GLUE's test sets do not have"));
}

TEST(Reader, AnEmptySecondTextOfATestSetIsToldFromNone) {
  const Scratch data;
  data.write("RTE/test.tsv", "index\tsentence1\tsentence2\n0\ta\t\n");
  data.write("SST-2/test.tsv", "index\tsentence\n0\ta\n");
  const auto second_of = [&](const char* name) {
    const TaskSpec& task = find_task(name);
    return read_split(task, task.test.front(), data.root()).examples.front().text_b;
  };
  EXPECT_EQ(second_of("rte"), "");
  EXPECT_EQ(second_of("sst2"), std::nullopt);
}

TEST(Reader, ATextWithoutAVisibleCharacterIsEmpty) {
  // no-break space, zero-width space, ideographic space, byte order mark
  for (const std::string blank : {"\xC2\xA0", "\xE2\x80\x8B", "\xE3\x80\x80", "\xEF\xBB\xBF", " \xC2\xA0 "}) {
    EXPECT_TRUE(contains(rte_refusal(kRteHeader + ("0\t" + blank + "\tb\tentailment\n")),
                         "train.tsv:2: empty text (first sentence)"));
    EXPECT_TRUE(contains(rte_refusal(kRteHeader + ("0\ta\t" + blank + "\tentailment\n")), "(second sentence)"));
  }
  const Scratch data;
  data.write("QQP/train.tsv",
             "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tWhy?\t\xE2\x80\x8B\t0\n4\t5\t6\tHow?"
             "\t\xC3\xA9\t1\n");
  EXPECT_EQ(read_train("qqp", data).skipped_rows, 1);
}

TEST(Reader, ANulCharacterInJsonIsRefused) {
  const Scratch data;
  data.write("RTE/train.jsonl", R"({"premise": "a\u0000", "hypothesis": "b", "label": "entailment"})");
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { read_train("rte", data); }), "train.jsonl:1: NUL character in 'premise'"));
}

TEST(Reader, CountsTextsThatAreNotUtf8) {
  const Scratch data;
  data.write("RTE/train.tsv", std::string(kRteHeader) + "0\tcaf\xe9\tb\tentailment\n1\tcaf\xc3\xa9\te\tentailment\n");
  EXPECT_EQ(read_train("rte", data).damaged_texts, 1);
}

TEST(Reader, TakesQuotesLiterally) {
  const Scratch data;
  data.write("SST-2/train.tsv", "sentence\tlabel\n\"unbalanced , \"\"\t1\n\"\t0\n");
  const Dataset train = read_train("sst2", data);
  ASSERT_EQ(train.size(), 2);
  EXPECT_EQ(train.examples[0].text_a, "\"unbalanced , \"\"");
  EXPECT_EQ(train.examples[1].text_a, "\"");
}

TEST(Reader, ToleratesCarriageReturnsByteOrderMarkAndAMissingOrDoubledFinalNewline) {
  const std::string body = "sentence\tlabel\r\na\t1\r\nb\t0";
  for (const std::string& content : {body, "\xEF\xBB\xBF" + body, body + "\r\n", body + "\n\n\n"}) {
    const Scratch data;
    data.write("SST-2/train.tsv", content);
    const Dataset train = read_train("sst2", data);
    ASSERT_EQ(train.size(), 2) << content;
    EXPECT_EQ(train.examples[0].text_a, "a");
    EXPECT_EQ(train.examples[1].label, 0);
  }
}

TEST(Reader, FindsColumnsByNameInAnyOrder) {
  const Scratch data;
  data.write("WNLI/train.tsv", "label\textra\tsentence2\tsentence1\n1\t-\ttwo\tone\n");
  const Dataset train = read_train("wnli", data);
  EXPECT_EQ(train.examples[0].text_a, "one");
  EXPECT_EQ(train.examples[0].text_b, "two");
}

TEST(Reader, ReadsHeaderlessColaFromItsFirstLine) {
  const Scratch data;
  data.write("CoLA/train.tsv", "gj04\t1\t\tGood .\nks08\t0\t*\tBad the .\n");
  const Dataset train = read_train("cola", data);
  ASSERT_EQ(train.size(), 2);
  EXPECT_EQ(train.examples[0].text_a, "Good .");
  EXPECT_EQ(train.examples[0].line, 1);
  EXPECT_EQ(train.examples[1].label, 0);
}

TEST(Reader, FindsATaskFolderInAnySpelling) {
  for (const char* folder : {"SST-2", "sst2", "SST2", "sst-2", "Sst_2"}) {
    const Scratch data;
    data.write(std::string(folder) + "/train.tsv", "sentence\tlabel\na\t1\n");
    EXPECT_EQ(read_train("sst2", data).size(), 1) << folder;
  }
}

TEST(Reader, PrefersTheOfficialFolderName) {
  const Scratch data;
  data.write("SST-2/train.tsv", "sentence\tlabel\nofficial\t1\n");
  data.write("S-ST2/train.tsv", "sentence\tlabel\nother\t1\n");
  EXPECT_EQ(read_train("sst2", data).examples[0].text_a, "official");
}

TEST(Reader, NamesWhatIsMissing) {
  const Scratch data;
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_train("rte", data); }),
                       "no folder RTE for task rte; found no folders"));
  data.write("CoLA/x", "");
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_train("rte", data); }), "found CoLA"));
  data.write("RTE/dev.tsv", kRteHeader);
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_train("rte", data); }), "RTE/train.tsv"));
  const TaskSpec& rte = find_task("rte");
  EXPECT_EQ(split_availability(rte, *rte.train, data.root()), Availability::kMissing);
  EXPECT_EQ(split_availability(rte, rte.dev[0], data.root()), Availability::kPresent);
  EXPECT_EQ(split_availability(rte, rte.dev[0], data.root() / "nowhere"), Availability::kMissing);
  const auto message = message_of<DataError>([&] { read_split(rte, *rte.train, data.root() / "nowhere"); });
  EXPECT_TRUE(contains(message, "nowhere: cannot list the GLUE folder"));
  EXPECT_TRUE(contains(message, "scripts/get_glue.sh --output " + (data.root() / "nowhere").string() + "'"));
}

TEST(Reader, AnUnknownLabelIsNamedWithItsPlaceAndTheKnownOnes) {
  const std::string message = rte_refusal(std::string(kRteHeader) + "0\ta\tb\tentailment\n1\ta\tb\tmaybe\n");
  EXPECT_TRUE(contains(message, "RTE/train.tsv:3: unknown label 'maybe'; rte knows entailment, not_entailment"));
}

TEST(Reader, MalformedRowsAreRefusedWithTheirLine) {
  const std::string header = kRteHeader;
  EXPECT_TRUE(contains(rte_refusal(header + "0\ta\tentailment\n"), "train.tsv:2: 3 columns; expected 4"));
  EXPECT_TRUE(contains(rte_refusal(header + "0\ta\tb\tc\tentailment\n"), "train.tsv:2: 5 columns; expected 4"));
  EXPECT_TRUE(contains(rte_refusal(header + "\n0\ta\tb\tentailment\n"), "train.tsv:2: 1 columns; expected 4"));
  EXPECT_TRUE(contains(rte_refusal(header + "0\t \tb\tentailment\n"), "train.tsv:2: empty text (first sentence)"));
  EXPECT_TRUE(contains(rte_refusal(header + "0\ta\t\tentailment\n"), "train.tsv:2: empty text (second sentence)"));
  EXPECT_TRUE(
      contains(rte_refusal(header + "0\ta" + std::string(1, '\0') + "\tb\tentailment\n"), "train.tsv:2: NUL byte"));
  EXPECT_TRUE(contains(rte_refusal("index\tsentence1\thypothesis\tlabel\n"),
                       "train.tsv:1: no column 'sentence2' in the header; it has index, sentence1, hypothesis, label"));
  EXPECT_TRUE(contains(rte_refusal(header), "no examples for task rte"));
  EXPECT_TRUE(contains(rte_refusal(""), "the file is empty"));
  EXPECT_TRUE(contains(rte_refusal("\xEF\xBB\xBF"), "the file is empty"));
}

TEST(Reader, AHeaderlessFileWithTooFewColumnsIsRefused) {
  const Scratch data;
  data.write("CoLA/train.tsv", "gj04\t1\n");
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_train("cola", data); }), "train.tsv:1: no column 3"));
}

TEST(Reader, ScoresMustBeNumbersWithinTheRange) {
  const std::string header = "sentence1\tsentence2\tscore\n";
  const auto refusal = [&](const std::string& score) {
    const Scratch data;
    data.write("STS-B/train.tsv", header + "a\tb\t" + score + "\n");
    return message_of<DataError>([&] { read_train("stsb", data); });
  };
  EXPECT_TRUE(
      contains(refusal("5.001"), "train.tsv:2: score 5.001 is out of range; expected a number between 0 and 5"));
  EXPECT_TRUE(contains(refusal("-0.1"), "out of range"));
  EXPECT_TRUE(contains(refusal("high"), "train.tsv:2: score 'high' is not a number"));
  EXPECT_TRUE(contains(refusal("nan"), "not a number"));
  const Scratch data;
  data.write("STS-B/train.tsv", header + "a\tb\t5.000\na\tb\t0\n");
  const Dataset train = read_train("stsb", data);
  EXPECT_EQ(train.examples[0].target, 5.0F);
  EXPECT_EQ(train.examples[0].label, kNoLabel);
  EXPECT_TRUE(train.label_counts.empty());
}

TEST(Reader, TakesJsonLinesAsSuperGlueHasThem) {
  const Scratch data;
  data.write("RTE/train.jsonl",
             "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": \"not_entailment\", \"idx\": 0}\n");
  const Dataset train = read_train("rte", data);
  ASSERT_EQ(train.size(), 1);
  EXPECT_EQ(train.examples[0].text_a, "a");
  EXPECT_EQ(train.examples[0].text_b, "b");
  EXPECT_EQ(train.examples[0].label, 1);
  data.write("RTE/train.tsv", std::string(kRteHeader) + "0\tx\ty\tentailment\n");
  EXPECT_EQ(read_train("rte", data).examples[0].text_a, "x") << "the official layout comes first";
}

TEST(Reader, SkipsAndCountsTheBrokenRowsOfQqpOnly) {
  const Scratch data;
  const std::string header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";
  data.write("QQP/train.tsv", header + "1\t2\t3\tWhy ?\t\t0\n4\t5\n6\t7\t8\tHow ?\tHow so ?\t1\n");
  const Dataset train = read_train("qqp", data);
  ASSERT_EQ(train.size(), 1);
  EXPECT_EQ(train.skipped_rows, 2);
  EXPECT_EQ(train.examples[0].line, 4);
  data.write("QQP/train.tsv", header + "1\t2\t3\tWhy ?\tHow ?\t2\n");
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_train("qqp", data); }), "unknown label '2'"));
}

TEST(Reader, AnUnlabelledSplitKeepsEveryRow) {
  const Scratch data;
  data.write("QQP/test.tsv", "id\tquestion1\tquestion2\n0\ta\tb\n1\t\tc\n");
  const TaskSpec& qqp = find_task("qqp");
  const Dataset test = read_split(qqp, qqp.test[0], data.root());
  ASSERT_EQ(test.size(), 2);
  EXPECT_EQ(test.labelling, Labelling::kUnlabelled);
  EXPECT_EQ(test.examples[1].label, kNoLabel);
  EXPECT_TRUE(test.label_counts.empty());
  data.write("QQP/test.tsv", "id\tquestion1\tquestion2\n0\ta\n");
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { read_split(qqp, qqp.test[0], data.root()); }), "2 columns; expected 3"));
}

TEST(Reader, SplitsMicrosoftsParaphraseFileByTheListOfDevPairs) {
  const Scratch data;
  data.write("MRPC/msr_paraphrase_train.txt",
             "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
             "1\t10\t11\ta\tb\r\n0\t20\t21\tc\td\r\n1\t30\t31\te\tf\r\n");
  EXPECT_TRUE(contains(message_of<DataError>([&] { read_train("mrpc", data); }), "with dev_ids.tsv"));
  data.write("MRPC/dev_ids.tsv", "20\t21\n10\t31\n");
  const Dataset train = read_train("mrpc", data);
  ASSERT_EQ(train.size(), 2);
  EXPECT_EQ(train.examples[1].text_a, "e");
  const TaskSpec& mrpc = find_task("mrpc");
  const Dataset dev = read_split(mrpc, mrpc.dev[0], data.root());
  ASSERT_EQ(dev.size(), 1);
  EXPECT_EQ(dev.examples[0].text_b, "d");
  EXPECT_EQ(dev.examples[0].line, 3);
  data.write("MRPC/dev_ids.tsv", "20\n");
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { read_train("mrpc", data); }), "dev_ids.tsv:1: 1 columns; expected 2 ids"));
}

}  // namespace
}  // namespace bertcram::glue
