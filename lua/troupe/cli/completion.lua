--- `troupe --completion SHELL`: the script by which a shell completes our command lines.
---
--- It has no knowledge of its own: it asks `troupe complete` (complete.lua) of the very
--- program that stands in the line, and adds file names where that says so.
local completion = {}

completion.SHELLS = { "bash", "zsh", "fish" }

completion.scripts = {}

completion.scripts.bash = [=[
# Completion of troupe for bash. In ~/.bashrc:  source <(troupe --completion bash)
_troupe() {
    local program=${COMP_WORDS[0]/#\~\//$HOME/} word
    local -a answer
    COMPREPLY=()
    mapfile -t answer < <("$program" complete line "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" \
                          "${COMP_LINE:COMP_POINT}" 2>/dev/null)
    word=${answer[1]}
    COMPREPLY=("${answer[@]:2}")
    case ${answer[0]} in
        file) compopt -o default 2>/dev/null ;;
        folder)
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word")
            ;;
        lua)
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -X '!*.lua' -- "$word"
                                                           compgen -d -- "$word")
            ;;
    esac
}
complete -F _troupe troupe
]=]

completion.scripts.zsh = [=[
#compdef troupe
# Completion of troupe for zsh. In ~/.zshrc, behind compinit:  source <(troupe --completion zsh)
# Or as a file of the name _troupe in a folder of $fpath.
_troupe() {
  local program=${${(Q)words[1]}/#\~\//$HOME/} line
  local -a answer described
  answer=("${(@f)$("$program" complete words $((CURRENT - 1)) "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" \
                   "${(@Q)words[CURRENT+1,-1]}" 2>/dev/null)}")
  for line in "${(@)answer[2,-1]}"; do
    [[ -n $line ]] && described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  (( $#described )) && _describe -V 'troupe' described
  case $answer[1] in
    file) _files ;;
    folder) _files -/ ;;
    lua) _files -g '*.lua(-.)' ;;
  esac
}
if [[ $funcstack[1] == _troupe ]]; then
  _troupe "$@"
else
  compdef _troupe troupe
fi
]=]

completion.scripts.fish = [=[
# Completion of troupe for fish. In ~/.config/fish/config.fish:  troupe --completion fish | source
# Or as the file ~/.config/fish/completions/troupe.fish.
function __troupe_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $before[1])
    set -e before[1]
    set -l answer ($program complete words (math (count $before) + 1) $before "$current" 2>/dev/null)
    switch "$answer[1]"
        case file
            __fish_complete_path "$current"
        case folder
            __fish_complete_directories "$current" ''
        case lua
            __fish_complete_suffix .lua
    end
    set -e answer[1]
    if set -q answer[1]
        printf '%s\n' $answer
    end
end
complete -c troupe -f -a '(__troupe_complete)'
]=]

return completion
