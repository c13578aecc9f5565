#!/usr/bin/env bash
# Makes the quickstart's data from WordNet: scripts/wordnet_data.sh OUTDIR [WORDNET_DIR]
#   OUTDIR/glosses.txt    pretraining text: a document per synset, "lemmas: definition." and its example sentences
#   OUTDIR/supersense/    classification task: definition -> lexicographer file, train.tsv, dev.tsv, task.yaml
# WORDNET_DIR holds data.noun, data.verb, data.adj, data.adv (default: where Debian's wordnet-base puts them).
# Held out: the synsets of dev.tsv are left out of glosses.txt, and no other synset has the same definition. Train and
# dev are disjoint. Nothing is random: the same WordNet gives the same bytes.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export LC_ALL=C

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  die 2 "usage: scripts/wordnet_data.sh OUTDIR [WORDNET_DIR]"
fi
out=$1
wordnet=${2:-/usr/share/wordnet}
train_per_class=200
dev_per_class=100

for part in noun verb adj adv; do
  [ -r "$wordnet/data.$part" ] ||
    die 3 "$wordnet/data.$part is missing. Install WordNet 3.0 (Debian: apt-get install wordnet-base), or give the" \
      "folder that holds it: scripts/wordnet_data.sh $out WORDNET_DIR"
done

mkdir -p "$out"
work=$(mktemp -d "$out/.wordnet.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/supersense"

# A data line (wndb(5WN)): offset lexfile type lemma-count-in-hex lemma id lemma id ... | definition; "example"; ...
awk -v train="$train_per_class" -v dev="$dev_per_class" -v dir="$work" '
  BEGIN {
    # The 15 largest of the 45 lexicographer files that name a class of nouns or verbs: each has over 2,100 synsets,
    # so the task can be balanced, and a definition alone nearly always decides between them.
    count = split("04 noun.act 05 noun.animal 06 noun.artifact 07 noun.attribute 09 noun.cognition " \
                  "10 noun.communication 13 noun.food 14 noun.group 15 noun.location 18 noun.person 20 noun.plant " \
                  "26 noun.state 27 noun.substance 30 verb.change 35 verb.contact", word, " ")
    for (i = 1; i < count; i += 2) { number[++classes] = word[i]; label[word[i]] = word[i + 1] }
    hex = "0123456789abcdef"
  }

  function trim(text) { gsub(/^[ ;,]+|[ ;,]+$/, "", text); return text }
  function sentence(text) { return text ~ /[.!?]$/ ? text : text "." }

  /^  / { next }  # the licence at the top of each file
  {
    bar = index($0, " | ")
    if (!bar) next
    gloss = substr($0, bar + 3)
    gsub(/[ \t]+/, " ", gloss)
    # The definition ends where the first example opens; quotes inside a definition follow neither ; nor :
    if (match(gloss, /[;:] ?"/)) { text = substr(gloss, 1, RSTART - 1); rest = substr(gloss, RSTART + RLENGTH - 1) }
    else { text = gloss; rest = "" }
    text = trim(text)
    if (text == "") next

    lemmas = 16 * (index(hex, substr($4, 1, 1)) - 1) + index(hex, substr($4, 2, 1)) - 1
    name = $5
    for (i = 2; i <= lemmas && i <= 3; ++i) name = name ", " $(3 + 2 * i)
    gsub(/_/, " ", name)
    gsub(/\([a-z]+\)/, "", name)  # syntactic markers of adjectives: (a), (p), (ip)

    lexfile[++synsets] = $2
    definition[synsets] = text
    document[synsets] = name ": " sentence(text)
    seen[tolower(text)]++
    # Odd pieces between quotes are examples; what follows one (an author) is dropped.
    pieces = split(rest, piece, "\"")
    for (i = 2; i <= pieces; i += 2) {
      example = trim(piece[i])
      if (example != "") document[synsets] = document[synsets] "\n" sentence(example)
    }
  }

  END {
    for (s = 1; s <= synsets; ++s) {
      words = split(definition[s], word, " ")
      if (lexfile[s] in label && seen[tolower(definition[s])] == 1 && words >= 4 && words <= 40)
        candidate[lexfile[s], ++candidates[lexfile[s]]] = s
    }
    # Evenly spaced through each class (neighbours in WordNet are relatives); the classes take turns in the files.
    wanted = train + dev
    print "label\ttext" > (dir "/supersense/train.tsv")
    print "label\ttext" > (dir "/supersense/dev.tsv")
    for (k = 0; k < wanted; ++k) {
      is_dev = int((k + 1) * dev / wanted) > int(k * dev / wanted)
      for (c = 1; c <= classes; ++c) {
        n = number[c]
        if (candidates[n] < wanted) {
          print "class " label[n] " has " candidates[n] + 0 " usable definitions, " wanted " needed" > "/dev/stderr"
          exit 3
        }
        s = candidate[n, int(k * candidates[n] / wanted) + 1]
        if (is_dev) held_out[s] = 1
        print label[n] "\t" definition[s] > (dir "/supersense/" (is_dev ? "dev" : "train") ".tsv")
      }
    }
    for (s = 1; s <= synsets; ++s)
      if (!(s in held_out)) print document[s] "\n" > (dir "/glosses.txt")
  }' "$wordnet/data.noun" "$wordnet/data.verb" "$wordnet/data.adj" "$wordnet/data.adv" ||
  die 3 "$wordnet does not look like WordNet 3.0 (see above); reinstall wordnet-base or name another folder"

cat >"$work/supersense/task.yaml" <<'YAML'
# Which lexicographer file of WordNet does a definition come from? 15 classes, equally frequent: chance is 1 in 15.
name: supersense
train: train.tsv
dev: dev.tsv
format: tsv
header: yes
columns: {sentence1: text, label: label}
metric: accuracy
YAML

# glosses.txt comes last: where it is, everything is.
rm -rf "$out/glosses.txt" "$out/supersense"
mv "$work/supersense" "$out/supersense"
mv "$work/glosses.txt" "$out/glosses.txt"
examples() { tail -n +2 "$out/supersense/$1.tsv" | wc -l; }
say "$(grep -c '^$' "$out/glosses.txt") documents in $out/glosses.txt," \
  "$(examples train) + $(examples dev) examples in $out/supersense"
