function __redis-lock_should_offer_completions_for_flags_or_options -a expected_commands
    set -l non_repeating_flags_or_options $argv[2..]
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __redis-lock_parse_tokens
    test "$commands" = "$expected_commands"; and return $non_repeating_flags_or_options_absent
end

function __redis-lock_should_offer_completions_for_positional -a expected_commands positional_index_comparison expected_positional_index
    set -l non_repeating_flags_or_options
    set -l non_repeating_flags_or_options_absent 0
    set -l positional_index 0
    set -l commands
    __redis-lock_parse_tokens
    test "$commands" = "$expected_commands" -a \( "$positional_index" "$positional_index_comparison" "$expected_positional_index" \)
end

function __redis-lock_parse_tokens -S
    set -l unparsed_tokens (__redis-lock_tokens -pc)
    switch $unparsed_tokens[1]
    case 'redis-lock'
        __redis-lock_parse_subcommand 0 'version' 'h/help'
        switch $unparsed_tokens[1]
        case 'run'
            __redis-lock_parse_subcommand -r 1 'url=+' 'url-file=' 'restart-delay=' 'q/quiet' 'v/verbose' 'json-log' 'ttl=' 'extend=' 'w/wait=' 'n/no-wait' 'min-hold=' 'max-hold=' 'grace=' 'replica-acknowledgements=' 'record-for=' 'label=' 'E/conflict-exit-code=' 'c/command=' 'version' 'h/help'
        case 'status'
            __redis-lock_parse_subcommand -r 1 'url=+' 'url-file=' 'restart-delay=' 'json' 'watch' 'version' 'h/help'
        case 'release'
            __redis-lock_parse_subcommand 1 'url=+' 'url-file=' 'restart-delay=' 'force' 'token=' 'version' 'h/help'
        case 'list'
            __redis-lock_parse_subcommand 1 'url=+' 'url-file=' 'restart-delay=' 'json' 'foreign' 'ended' 'watch' 'version' 'h/help'
        case 'doctor'
            __redis-lock_parse_subcommand 1 'url=+' 'url-file=' 'restart-delay=' 'json' 'version' 'h/help'
        case 'help'
            __redis-lock_parse_subcommand -r 1 'version'
        end
    end
end

function __redis-lock_tokens
    if test (string split -m 1 -f 1 -- . "$FISH_VERSION") -gt 3
        commandline --tokens-raw $argv
    else
        commandline -o $argv
    end
end

function __redis-lock_parse_subcommand -S -a positional_count
    argparse -s r -- $argv
    set -l option_specs $argv[2..]
    set -l is_repeating_positional $_flag_r
    set -el _flag_r
    set -a commands $unparsed_tokens[1]
    set positional_index 0
    while true
        set -e unparsed_tokens[1]
        argparse -sn "$commands" $option_specs -- $unparsed_tokens 2> /dev/null
        set unparsed_tokens $argv
        set positional_index (math $positional_index + 1)
        for non_repeating_flag_or_option in $non_repeating_flags_or_options
            if set -ql "_flag_$(string replace -a - _ -- $non_repeating_flag_or_option)"
                set non_repeating_flags_or_options_absent 1
                break
            end
        end
        test (count $unparsed_tokens) -eq 0 -o \( -z "$is_repeating_positional" -a "$positional_index" -gt "$positional_count" \) && break
    end
end

function __redis-lock_complete_directories
    set -l token (commandline -t)
    string match -- '*/' $token
    set -l subdirs $token*/
    printf %s\n $subdirs
end

function __redis-lock_custom_completion
    set -x SAP_SHELL fish
    set -x SAP_SHELL_VERSION $FISH_VERSION
    set -l tokens (__redis-lock_tokens -p)
    if test -z "$(__redis-lock_tokens -t)"
        set -l index (count (__redis-lock_tokens -pc))
        set tokens $tokens[..$index] \'\' $tokens[(math $index + 1)..]
    end
    command $tokens[1] $argv $tokens
end

complete -c 'redis-lock' -f
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock" version' -l 'version' -d 'Show the version.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock" -eq 1' -fa 'run' -d 'Run a command under a lock.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock" -eq 1' -fa 'status' -d 'Show a lock\'s holder, start time and waiters.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock" -eq 1' -fa 'release' -d 'Release a lock, and say who held it.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock" -eq 1' -fa 'list' -d 'List the locks on the server.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock" -eq 1' -fa 'doctor' -d 'Check whether this server is fit for locks.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock" -eq 1' -fa 'help' -d 'Show subcommand help information.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run"' -l 'url' -d 'The server, as redis://user:password@host:6379/0, unix:///path, redis+sentinel://host,host/primary or redis+cluster://host,host; with rediss in place of redis, by TLS. Given 3, 5, 7 or 9 times: servers of which a majority decides.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" url-file' -l 'url-file' -d 'A file that contains the server\'s URL, or those of several servers, one per line. It keeps a password out of the process list.' -rF
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" restart-delay' -l 'restart-delay' -d 'How long a restarted server of several gets no new locks, which it may have forgotten; no ttl may be longer.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" q quiet' -s 'q' -l 'quiet' -d 'Print errors only.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" v verbose' -s 'v' -l 'verbose' -d 'Print what the command does.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" json-log' -l 'json-log' -d 'Print messages as JSON, one object per line.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" ttl' -l 'ttl' -d 'How long the lock can outlive this process.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" extend' -l 'extend' -d 'How often the lock is extended, at least every 3s. (default: a third of the ttl)' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" w wait' -s 'w' -l 'wait' -d 'How long to wait for the lock. (default: for ever)' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" n no-wait' -s 'n' -l 'no-wait' -d 'Do not wait for the lock.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" min-hold' -l 'min-hold' -d 'The shortest time that the lock is held, even if the command ends sooner.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" max-hold' -l 'max-hold' -d 'How long the command may run; after that the lock counts as lost.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" grace' -l 'grace' -d 'The time between SIGTERM and SIGKILL when the lock is lost. (default: 5s, or less with a short --ttl or --max-hold)' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" replica-acknowledgements' -l 'replica-acknowledgements' -d 'How many replicas have to confirm the lock and each extension. (default: the URL\'s replica_acknowledgements, or 0)' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" record-for' -l 'record-for' -d 'How long the server keeps a record of this run, for status and list; 0 for none.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" label' -l 'label' -d 'A label stored with the lock and shown by status and list. (default: the command\'s name)' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" E conflict-exit-code' -s 'E' -l 'conflict-exit-code' -d 'The exit status when the lock is not acquired, instead of 75.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" c command' -s 'c' -l 'command' -d 'A command for /bin/sh.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock run" -ge 1' -fka '(__redis-lock_custom_completion ---completion run -- positional@0 (count (__redis-lock_tokens -pc)) (__redis-lock_tokens -tC))'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" version' -l 'version' -d 'Show the version.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock run" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock status"' -l 'url' -d 'The server, as redis://user:password@host:6379/0, unix:///path, redis+sentinel://host,host/primary or redis+cluster://host,host; with rediss in place of redis, by TLS. Given 3, 5, 7 or 9 times: servers of which a majority decides.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock status" url-file' -l 'url-file' -d 'A file that contains the server\'s URL, or those of several servers, one per line. It keeps a password out of the process list.' -rF
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock status" restart-delay' -l 'restart-delay' -d 'How long a restarted server of several gets no new locks, which it may have forgotten; no ttl may be longer.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock status" json' -l 'json' -d 'Print JSON, one object per line for each key.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock status" watch' -l 'watch' -d 'Refresh every second, until interrupted.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock status" -ge 1' -fka '(__redis-lock_custom_completion ---completion status -- positional@0 (count (__redis-lock_tokens -pc)) (__redis-lock_tokens -tC))'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock status" version' -l 'version' -d 'Show the version.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock status" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock release"' -l 'url' -d 'The server, as redis://user:password@host:6379/0, unix:///path, redis+sentinel://host,host/primary or redis+cluster://host,host; with rediss in place of redis, by TLS. Given 3, 5, 7 or 9 times: servers of which a majority decides.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock release" url-file' -l 'url-file' -d 'A file that contains the server\'s URL, or those of several servers, one per line. It keeps a password out of the process list.' -rF
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock release" restart-delay' -l 'restart-delay' -d 'How long a restarted server of several gets no new locks, which it may have forgotten; no ttl may be longer.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock release" force' -l 'force' -d 'Release the lock even if another client holds it.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock release" token' -l 'token' -d 'The token of the lock. (default: REDIS_LOCK_TOKEN)' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_positional "redis-lock release" -eq 1' -fka '(__redis-lock_custom_completion ---completion release -- positional@0 (count (__redis-lock_tokens -pc)) (__redis-lock_tokens -tC))'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock release" version' -l 'version' -d 'Show the version.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock release" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list"' -l 'url' -d 'The server, as redis://user:password@host:6379/0, unix:///path, redis+sentinel://host,host/primary or redis+cluster://host,host; with rediss in place of redis, by TLS. Given 3, 5, 7 or 9 times: servers of which a majority decides.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list" url-file' -l 'url-file' -d 'A file that contains the server\'s URL, or those of several servers, one per line. It keeps a password out of the process list.' -rF
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list" restart-delay' -l 'restart-delay' -d 'How long a restarted server of several gets no new locks, which it may have forgotten; no ttl may be longer.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list" json' -l 'json' -d 'Print JSON, one object per line for each lock.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list" foreign' -l 'foreign' -d 'Also what may be locks of other clients: all strings that expire, and with a pattern those that never do.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list" ended' -l 'ended' -d 'Also the keys that are free and have a record of their last run.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list" watch' -l 'watch' -d 'Refresh every second, until interrupted: holders, waiters, and how long they have waited.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list" version' -l 'version' -d 'Show the version.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock list" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock doctor"' -l 'url' -d 'The server, as redis://user:password@host:6379/0, unix:///path, redis+sentinel://host,host/primary or redis+cluster://host,host; with rediss in place of redis, by TLS. Given 3, 5, 7 or 9 times: servers of which a majority decides.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock doctor" url-file' -l 'url-file' -d 'A file that contains the server\'s URL, or those of several servers, one per line. It keeps a password out of the process list.' -rF
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock doctor" restart-delay' -l 'restart-delay' -d 'How long a restarted server of several gets no new locks, which it may have forgotten; no ttl may be longer.' -rfka ''
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock doctor" json' -l 'json' -d 'Print JSON, one object per line for each finding.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock doctor" version' -l 'version' -d 'Show the version.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock doctor" h help' -s 'h' -l 'help' -d 'Show help information.'
complete -c 'redis-lock' -n '__redis-lock_should_offer_completions_for_flags_or_options "redis-lock help" version' -l 'version' -d 'Show the version.'

# Behind -- there is another command.
function __redis-lock_is_behind_terminator
    set -l tokens (__redis-lock_tokens -pc)
    test "$tokens[2]" = run; and contains -- -- $tokens
end

function __redis-lock_complete_command
    set -l tokens (__redis-lock_tokens -pc)
    set -l behind (contains -i -- -- $tokens)
    set -l words (string escape -- $tokens[(math $behind + 1)..])
    complete -C "$words $(commandline -t)"
end

complete -c 'redis-lock' -n __redis-lock_is_behind_terminator -a '(__redis-lock_complete_command)'
