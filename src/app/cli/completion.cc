#include "app/cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "app/cli/cli.h"
#include "base/replaced.h"

namespace tapeline::app {
namespace {

/// A word that may come next, and what it is for.
struct Choice {
  std::string word;
  std::string summary;
  bool takes_value = false;
};

/// First and second word of a command's name; its third, if it has one, is chosen with its flags.
std::pair<std::string, std::string> names_of(const Command& command) {
  const auto blank = command.name.find(' ');
  if (blank == std::string_view::npos) return {std::string(command.name), ""};
  const std::string_view rest = command.name.substr(blank + 1);
  return {std::string(command.name.substr(0, blank)), std::string(rest.substr(0, rest.find(' ')))};
}

/// First words, each once, in the order of the help.
std::vector<Choice> firsts() {
  std::vector<Choice> found;
  for (const Command& command : commands()) {
    const auto [first, second] = names_of(command);
    const auto same = std::ranges::find(found, first, &Choice::word);
    if (same == found.end()) {
      found.push_back({first, std::string(command.summary)});
    } else if (same->summary.find(" ...") == std::string::npos) {
      same->summary = fmt::format("{} and more: tapeline {} ...", same->summary, first);
    }
  }
  return found;
}

std::vector<Choice> seconds_of(std::string_view wanted) {
  std::vector<Choice> found;
  for (const Command& command : commands()) {
    const auto [first, second] = names_of(command);
    if (first == wanted && !second.empty()) {
      found.push_back({second, std::string(command.summary)});
    }
  }
  return found;
}

std::vector<Choice> flags_of(const Command& command) {
  std::vector<Choice> found;
  if (std::ranges::count(command.name, ' ') > 1) {
    found.push_back({std::string(command.name.substr(command.name.rfind(' ') + 1)),
                     std::string(command.summary)});
  }
  for (const auto flags : {command.flags, common_flags()}) {
    for (const Flag& flag : flags) {
      found.push_back(
          {fmt::format("--{}", flag.name), std::string(flag.help), !flag.value.empty()});
    }
  }
  return found;
}

std::string words_of(const std::vector<Choice>& choices) {
  std::string words;
  for (const Choice& choice : choices) words += (words.empty() ? "" : " ") + choice.word;
  return words;
}

/// The arms of a shell's case over "first second": `arm` writes one.
std::string arms(
    const std::function<std::string(std::string_view pattern, const std::vector<Choice>&)>& arm) {
  std::string out = arm("' '", firsts());
  for (const Choice& first : firsts()) {
    const auto seconds = seconds_of(first.word);
    if (!seconds.empty()) out += arm(fmt::format("'{} '", first.word), seconds);
  }
  for (const Command& command : commands()) {
    const auto [first, second] = names_of(command);
    out +=
        arm(second.empty() ? fmt::format("'{} '*", first) : fmt::format("'{} {}'", first, second),
            flags_of(command));
  }
  return out;
}

constexpr std::string_view kBash = R"sh(# eval "$(tapeline completion bash)"
_tapeline() {
  local current="${COMP_WORDS[COMP_CWORD]}" first="" second="" word choices="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    [[ $word == -* ]] && continue
    if [[ -z $first ]]; then first=$word; elif [[ -z $second ]]; then second=$word; fi
  done
  case "$first $second" in
@ARMS@  esac
  [[ $choices == --* && $current != -* ]] && return
  COMPREPLY=($(compgen -W "$choices" -- "$current"))
}
complete -o default -F _tapeline tapeline
)sh";

constexpr std::string_view kZsh = R"sh(#compdef tapeline
# eval "$(tapeline completion zsh)", after compinit
_tapeline() {
  local first='' second='' word
  local -a choices
  for word in "${(@)words[2,CURRENT-1]}"; do
    [[ $word == -* ]] && continue
    if [[ -z $first ]]; then first=$word; elif [[ -z $second ]]; then second=$word; fi
  done
  case "$first $second" in
@ARMS@  esac
  if [[ ${choices[1]} == --* && ${words[CURRENT]} != -* ]]; then
    _files
  else
    _describe -o tapeline choices
  fi
}
compdef _tapeline tapeline
)sh";

std::string bash() {
  return replaced(kBash, "@ARMS@", arms([](std::string_view pattern, const auto& choices) {
                    return fmt::format("    {}) choices=\"{}\" ;;\n", pattern, words_of(choices));
                  }));
}

std::string zsh() {
  return replaced(kZsh, "@ARMS@", arms([](std::string_view pattern, const auto& choices) {
                    std::string list;
                    for (const Choice& choice : choices) {
                      list +=
                          fmt::format(" '{}:{}'", choice.word,
                                      replaced(replaced(choice.summary, "'", "'\\''"), ":", "\\:"));
                    }
                    return fmt::format("    {}) choices=({} ) ;;\n", pattern, list);
                  }));
}

std::string fish() {
  std::string out = "# tapeline completion fish | source\n";
  const auto line = [&](std::string_view condition, const Choice& choice) {
    const bool is_flag = choice.word.starts_with("--");
    out += fmt::format("complete -c tapeline -n '{}' {} {}{} -d '{}'\n", condition,
                       is_flag ? "-l" : "-f -a",
                       is_flag ? std::string_view(choice.word).substr(2) : choice.word,
                       choice.takes_value ? " -r" : "", replaced(choice.summary, "'", "\\'"));
  };
  for (const Choice& first : firsts()) {
    line("__fish_use_subcommand", first);
    const auto seconds = seconds_of(first.word);
    for (const Choice& second : seconds) {
      line(fmt::format("__fish_seen_subcommand_from {}; and not __fish_seen_subcommand_from {}",
                       first.word, words_of(seconds)),
           second);
    }
  }
  for (const Command& command : commands()) {
    const auto [first, second] = names_of(command);
    const std::string condition =
        fmt::format("__fish_seen_subcommand_from {}{}", first,
                    second.empty() ? "" : "; and __fish_seen_subcommand_from " + second);
    for (const Choice& flag : flags_of(command)) line(condition, flag);
  }
  return out;
}

/// Text that troff takes as it is.
std::string troff(std::string_view text) {
  std::string out = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
  if (out.starts_with(".") || out.starts_with("'")) out.insert(0, "\\&");
  return replaced(out, "\n.", "\n\\&.");
}

}  // namespace

Result<std::string> completion_script(std::string_view shell) {
  if (shell == "bash") return bash();
  if (shell == "zsh") return zsh();
  if (shell == "fish") return fish();
  return Error{ErrorCode::invalid_argument, fmt::format("there is no completion for '{}'", shell),
               "Write bash, zsh or fish."};
}

std::string man_page() {
  std::string out =
      ".\\\" Generated from the program's own table; a test compares the two.\n"
      ".TH TAPELINE 1 \"\" tapeline \"User Commands\"\n.SH NAME\n"
      "tapeline \\- quotes and trades, from feed to live dashboard, in one program\n"
      ".SH SYNOPSIS\n.B tapeline\n.I COMMAND\n.RI [ WORDS ]\n.RI [ FLAGS ]\n.SH COMMANDS\n";
  for (const Command& command : commands()) {
    out +=
        fmt::format(".SS \"tapeline {}{}{}\"\n{}.\n", troff(command.name),
                    command.words.empty() ? "" : " ", troff(command.words), troff(command.summary));
    for (const Flag& flag : command.flags) {
      const std::string letter = flag.letter == '\0' ? "" : fmt::format("\\-{}, ", flag.letter);
      out += fmt::format(".TP\n\\fB{}\\-\\-{}\\fR{}{}\n{}{}\n", letter, troff(flag.name),
                         flag.value.empty() ? "" : " ", troff(flag.value), troff(flag.help),
                         flag.fallback.empty() ? "" : fmt::format(" [{}]", troff(flag.fallback)));
    }
    out += fmt::format(".PP\n.nf\n{}\n.fi\n", troff(command.examples));
  }
  out += ".SH FLAGS OF EVERY COMMAND\n";
  for (const Flag& flag : common_flags()) {
    out += fmt::format(".TP\n\\fB\\-\\-{}\\fR{}{}\n{}\n", troff(flag.name),
                       flag.value.empty() ? "" : " ", troff(flag.value), troff(flag.help));
  }
  return out +
         ".SH EXIT STATUS\n0 done; 1 it ran and something in it failed; 2 usage, configuration or "
         "internal error.\n";
}

}  // namespace tapeline::app
