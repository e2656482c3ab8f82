#!/bin/sh
# Runs hscbox in its container at site @SITE@; made by `hscbox site wrapper @SITE@` (hscbox @VERSION@).
#
#   run-hscbox process-ccd input --output output --id visit=40984 ccd=55
#
# It takes the words of hscbox, looks where the paths among them and the symbolic links of the repositories lead,
# binds these places (inputs read-only, outputs writable), and starts the image. Of raw and calibration links three per
# directory are read, in at most 200 directories of a repository; directories outside it are never listed.
#
# HSCBOX_IMAGE    SIF file, or name of an OCI image; else that of the profile, else hscbox.sif beside this script
# HSCBOX_ENGINE   apptainer, singularity, podman or docker; else the first that is there and fits the image
# HSCBOX_DRY_RUN  if set: print the command, one word a line, and end
# HSCBOX_VERBOSE  if set: say what was looked at
set -euf

# ---------------------------------------------------------------------------------------------- the site
@SETTINGS@
# ---------------------------------------------------------------------------------------------- tools
nl='
'
tab=$(printf '\t')
here=$(pwd -P)
wanted=''
fixed=''
seen=''

say() { printf 'run-hscbox: %s\n' "$*" >&2; }
note() { [ -z "${HSCBOX_VERBOSE-}" ] || say "$*"; }
die() { say "$*"; exit 2; }
absolute() { case $1 in /*) full=$1 ;; *) full=$here/$1 ;; esac; }

# walk PATH: sets `walked` to it without . and .., or `link` to the first symbolic link in it and `rest` to what follows.
walk() {
    walked='' link='' rest='' left=${1#/}/
    while [ -n "$left" ]; do
        part=${left%%/*} left=${left#*/}
        case $part in
            '' | .) continue ;;
            ..) walked=${walked%/*} && continue ;;
        esac
        walked=$walked/$part
        if [ -L "$walked" ]; then
            link=$walked rest=${left:+/${left%/}}
            return 0
        fi
    done
}

# want MODE PATH: PATH is needed in the container, and so is every place that symbolic links in it lead to.
want() {
    want_mode=$1 want_path=$2 want_origin=${3-} hops=0
    while [ "$hops" -lt 40 ]; do
        walk "$want_path"
        if [ -z "$link" ]; then
            candidate "$want_mode" "$walked" "$want_origin"
            return 0
        fi
        candidate "$want_mode" "$link$rest" ''
        target=$(readlink "$link")
        case $target in
            /*) want_path=$target$rest ;;
            *) want_path=${link%/*}/$target$rest ;;
        esac
        want_origin=$link hops=$((hops + 1))
    done
    say "warning: the links of $2 go in a circle"
}

# follow MODE LINK: wants what a symbolic link in a directory that is wanted already leads to.
follow() {
    target=$(readlink "$2")
    case $target in
        /*) want "$1" "$target" "$2" ;;
        *) want "$1" "${2%/*}/$target" "$2" ;;
    esac
}

# candidate MODE PATH LINK: notes the directory of PATH; LINK is the link that led there, if any.
candidate() {
    place=$2
    if [ -n "$3" ] && [ ! -e "$place" ] && ! provided "$place"; then
        say "warning: $3 leads to $place, which is not there on this machine either"
        return 0
    fi
    while [ ! -d "$place/" ]; do place=${place%/*}; done
    case $place in
        *"$nl"* | *"$tab"*) die "cannot bind a path with a line break or a tab: $place" ;;
        '' | /bin | /dev | /etc | /lib | /lib64 | /opt | /proc | /run | /sbin | /sys | /usr | /var)
            note "not bound, since it would hide the image's own: ${place:-/}"
            return 0
            ;;
        /bin/* | /etc/* | /lib/* | /lib32/* | /lib64/* | /opt/hscbox | /opt/hscbox/* | /proc/* | /sbin/* | /sys/* | \
            /usr/bin* | /usr/lib* | /usr/sbin*)
            note "not bound, since it would hide the image's own: $place"
            return 0
            ;;
    esac
    case $nl$wanted in *"$nl$place$tab$1$nl"*) ;; *) wanted=$wanted$place$tab$1$nl ;; esac
}

# provided PATH: whether a bind of the site brings it from elsewhere.
provided() {
    IFS=$nl
    for entry in $fixed; do
        case $1/ in "${entry##*"$tab"}"/*) return 0 ;; esac
    done
    return 1
}

# site_bind ro|rw always|present SOURCE TARGET
site_bind() {
    if [ -z "$3" ] || [ ! -e "$3" ]; then
        [ "$2" = present ] || die "site $site: ${3:-a directory whose variable is not set} must be bound, and is not there"
        note "site $site: no ${3:-value of a variable} here, not bound"
    elif [ "$3" = "$4" ]; then
        candidate "$1" "$3" ''
    else
        fixed=$fixed$1$tab$3$tab$4$nl
    fi
}

# links_of DIRECTORY...: wants the targets of three links in each of at most 200 of these directories.
links_of() {
    step=$((($# + 199) / 200)) count=0 looked=0
    for leaf in "$@"; do
        count=$((count + 1))
        [ $((count % step)) -eq 0 ] || continue
        looked=$((looked + 1)) leaf=${leaf%/}
        IFS=$nl
        for found in $(find "$leaf/." ! -name . -prune -type l 2>/dev/null | head -n 3); do
            follow ro "$leaf/${found##*/}"
        done
    done
    note "looked for links in $looked of $# directories"
}

raw_links() {
    set +f
    for field in "$1"/*/; do
        field=${field%/}
        case ${field##*/} in CALIB | ref_cats | rerun | _parent | config | schema | '*') continue ;; esac
        [ -L "$field" ] && follow ro "$field"
        for leaf in "$field"/*/*/*/; do
            [ -d "$leaf" ] && set -- "$@" "$leaf"
        done
    done
    set -f
    shift
    [ $# -eq 0 ] || links_of "$@"
}

calib_links() {
    set +f
    for leaf in "$1"/*; do [ ! -L "$leaf" ] || follow "$2" "$leaf"; done
    set -- "$1"/*/*/*/ "$1"/BFKERNEL/
    set -f
    links_of "$@"
}

shard_links() {
    set +f
    for leaf in "$1"/*; do [ ! -L "$leaf" ] || follow ro "$leaf"; done
    set -- "$1"/*/
    set -f
    links_of "$@"
}

is_repository() {
    [ -d "$1" ] || return 1
    for mark in _mapper _parent registry.sqlite3 repositoryCfg.yaml; do
        if [ -e "$1/$mark" ] || [ -L "$1/$mark" ]; then return 0; fi
    done
    return 1
}

# repository MODE DIRECTORY: wants a repository, what its links lead to, and its parents.
repository() {
    want "$1" "$2"
    records_of "$1" "$2"
    case $nl$seen in *"$nl$2$nl"*) return 0 ;; esac
    seen=$seen$2$nl
    for name in _mapper registry.sqlite3; do
        [ ! -L "$2/$name" ] || follow "$1" "$2/$name"
    done
    if [ -L "$2/CALIB" ]; then follow "$calib_mode" "$2/CALIB"; fi
    if [ -d "$2/CALIB" ]; then calib_links "$2/CALIB" "$calib_mode"; fi
    if [ -L "$2/ref_cats" ]; then follow ro "$2/ref_cats"; fi
    if [ -d "$2/ref_cats" ]; then shard_links "$2/ref_cats"; fi
    raw_links "$2"
    if [ -L "$2/_parent" ]; then follow ro "$2/_parent"; fi
    parents="$2$tab$(cfg_values "$2")"
    if [ -d "$2/_parent" ]; then parents=$parents${nl}_parent; fi
    # A nested call changes every variable: what is left to do travels in the positional parameters.
    set -- "${parents%%"$tab"*}" "${parents#*"$tab"}"
    IFS=$nl
    for parent in $2; do
        case $parent in
            *\\*) say "warning: cannot read the path $parent in $1/repositoryCfg.yaml" ;;
            /*) parent_of "$parent" ;;
            *) parent_of "$1/$parent" ;;
        esac
    done
}

# records_of MODE DIRECTORY [new]: wants the records of an output, which stand beside it, or the place for new ones.
records_of() {
    real=$(cd -P -- "$2" 2>/dev/null && pwd) || return 0
    if [ -n "${3-}" ] || [ -d "$real.runs" ]; then want "$1" "$real.runs"; fi
}

parent_of() { if is_repository "$1"; then repository ro "$1"; else directory ro "$1"; fi; }

# directory MODE PATH: wants a path, and what the links lead to if it is a directory of calibrations.
directory() {
    want "$1" "$2"
    if [ -e "$2/calibRegistry.sqlite3" ] || [ -L "$2/calibRegistry.sqlite3" ]; then calib_links "${2%/}" "$1"; fi
}

# cfg_values DIRECTORY: the parents and the calibration directory that repositoryCfg.yaml names, one a line.
cfg_values() {
    [ -f "$1/repositoryCfg.yaml" ] || return 0
    sed -n -e 's/^_parents: \[\(.*\)\]$/\1/p' -e 's/^_mapperArgs: {.*calibRoot: \([^,}]*\).*/\1/p' \
        "$1/repositoryCfg.yaml" | sed -e 's/, /\
/g' | sed -e "s/^['\"]//" -e "s/['\"]\$//"
}

# path MODE WORD: wants what a word of the command line stands for.
path() {
    absolute "$2"
    if is_repository "$full"; then repository "$1" "${full%/}"; else directory "$1" "$full"; fi
}

# listed FILE: wants the directories of the paths in a file of words, and what the first path of each leads to.
listed() {
    [ -f "$1" ] || return 0
    IFS=$nl
    # shellcheck disable=SC2013  # one line a word, by IFS
    for line in $(first_of_each_directory "$1"); do
        if [ -e "$line" ] || [ -L "$line" ]; then
            path ro "$line"
        else
            IFS=' '
            for part in $line; do
                if [ -e "$part" ] || [ -L "$part" ]; then path ro "$part"; fi
            done
        fi
    done
}

# A line is one path, perhaps quoted, or several words.
first_of_each_directory() {
    awk -v q="'" '{
        sub("(^|[ \t])#.*", "")
        gsub("^[ \t\"" q "]+|[ \t\"" q "]+$", "")
        directory = $0
        if (!sub("/[^/]*$", "", directory)) directory = "."
        if ($0 != "" && n < 500 && !(directory in done)) { done[directory]; n++; print }
    }' "$1"
}

# ---------------------------------------------------------------------------------------------- the words
case ${0##*/} in
    processCcd.py | ingestImages.py | ingestCalibs.py) set -- "${0##*/}" "$@" ;;
esac
repository_mode=ro file_mode=ro calib_mode=ro several='' transfer='' previous=''
for word in "$@"; do
    case $previous in --mode) transfer=$word ;; esac
    case $word in --mode=*) transfer=${word#*=} ;; --rerun | --rerun=*) repository_mode=rw ;; esac
    previous=$word
done
case ${1-} in
    process-ccd | processCcd.py | query | provenance | doctor | site | show | validate | refcat | '' | -*) ;;
    # The second file is written.
    export) file_mode=rw ;;
    ingest-images | ingestImages.py)
        repository_mode=rw
        if [ "$transfer" = move ]; then file_mode=rw; fi
        ;;
    ingest-calibs | ingestCalibs.py)
        repository_mode=rw calib_mode=rw
        case $transfer in link | copy | skip) ;; *) file_mode=rw ;; esac
        ;;
    *) repository_mode=rw file_mode=rw ;;
esac
# The parsers of 2017 take several words after these options, the others one.
case ${1-} in process-ccd | *.py) several=1 ;; esac

site_binds
want rw "$here"
[ -z "${PIPE_INPUT_ROOT-}" ] || path "$repository_mode" "$PIPE_INPUT_ROOT"
[ -z "${PIPE_OUTPUT_ROOT-}" ] || path rw "$PIPE_OUTPUT_ROOT"
[ -z "${PIPE_CALIB_ROOT-}" ] || path "$calib_mode" "$PIPE_CALIB_ROOT"
profiles=${XDG_CONFIG_HOME:-${HOME-}/.config}/hscbox
if [ -d "$profiles" ]; then
    want ro "$profiles"
    XDG_CONFIG_HOME=${profiles%/hscbox} && export XDG_CONFIG_HOME
fi

option='' position=0 last=''
for word in "$@"; do
    value=$word
    case $word in
        --*=*) option=${word%%=*} value=${word#*=} ;;
        -?*) option=$word && continue ;;
        @?*) value=${word#@} option=@ ;;
        *=/*) value=${word#*=} ;;
    esac
    mode=$file_mode
    case $option in
        --output | --report | --json | --junit | --junit-xml | --keep) mode=rw ;;
        --calib) mode=$calib_mode ;;
        --ref-cats | --truth | --exposure | --map | --repo | --scene | --again | --reference) mode=ro ;;
        -c | --config | -C | --configfile) mode=ro ;;
        --testdata) ;;
        --rerun | --id | --mode | --site | -j | --processes | -L | --loglevel | -t | --timeout | --show) value='' ;;
        --badFile | --bad-file | --badId | --bad-id | --validity | --calibType | --calib-type | --format) value='' ;;
        --dataset | --compare | --region | --mask | --level | --reason | --ccds | --name | --depth | --cone) value='' ;;
        --url | --visit | --ccd | --filter | --seed | --rows | --exptime | --date | --seeing | --without) value='' ;;
        @) absolute "$value" && mode=ro && listed "$full" ;;
        *)
            # The name of the command is no path, even if a file has the same name.
            if [ "$word" = "$value" ]; then position=$((position + 1)); fi
            if [ "$position" -eq 1 ] && [ -z "$option" ]; then continue; fi
            if [ "$position" -eq 2 ]; then
                mode=$repository_mode
                case $value in /*) ;; *) [ -z "${PIPE_INPUT_ROOT-}" ] || value=$PIPE_INPUT_ROOT/$value ;; esac
            fi
            ;;
    esac
    named=$option
    # Options that take several words keep their meaning for the next one.
    case $several$option in
        1--id | 1-c | 1--config | 1-C | 1--configfile | 1-L | 1--loglevel | 1--show | 1--badFile | 1--badId) ;;
        *) option='' ;;
    esac
    case $value in
        '' | *://*) continue ;;
        */*) ;;
        *) [ "$mode" = rw ] || [ -e "$value" ] || [ -L "$value" ] || continue ;;
    esac
    # Of files that follow each other in one directory, the first tells where they are, unless they are links.
    absolute "$value"
    if [ "${full%/*}$tab$mode" = "$last" ] && [ -f "$full" ] && [ ! -L "$full" ]; then continue; fi
    path "$mode" "$value"
    case ${1-}$named in process-ccd--output | processCcd.py--output) records_of rw "$value" new ;; esac
    last=''
    if [ -f "$full" ] && [ ! -L "$full" ]; then last=${full%/*}$tab$mode; fi
done

# ---------------------------------------------------------------------------------------------- environment
TMPDIR_INSIDE=$scratch
if [ -n "$scratch" ] && [ ! -d "$scratch" ]; then
    say "warning: scratch $scratch is not there; /tmp of the container is used"
    TMPDIR_INSIDE=''
fi
[ -z "$TMPDIR_INSIDE" ] || [ "$TMPDIR_INSIDE" = /tmp ] || want rw "$TMPDIR_INSIDE"
if [ -n "$TMPDIR_INSIDE" ]; then
    TMPDIR=$TMPDIR_INSIDE && export TMPDIR
else
    unset TMPDIR
fi

# ---------------------------------------------------------------------------------------------- the binds
# Parents come first. A place below one that is bound in the same mode needs no bind of its own; one that is reached
# through a link below it is seen there as this link, and the place that the link leads to is in the list too.
binds=$fixed
accepted=''
IFS=$nl
for entry in $(printf '%s' "$wanted" | LC_ALL=C sort -t "$tab" -k1,1 -k2,2r); do
    place=${entry%"$tab"*} mode=${entry##*"$tab"} cover='' cover_mode=''
    for other in $accepted; do
        parent=${other%"$tab"*}
        case $place/ in "$parent"/*) cover=$parent cover_mode=${other##*"$tab"} ;; esac
    done
    if [ -n "$cover" ]; then
        if [ "$cover" = "$place" ] || [ "$cover_mode" = "$mode" ]; then continue; fi
        below=$cover tail=${place#"$cover"/}/ through=''
        while [ -n "$tail" ]; do
            below=$below/${tail%%/*} tail=${tail#*/}
            if [ -L "$below" ]; then through=1; fi
        done
        [ -z "$through" ] || continue
    fi
    accepted=$accepted$place$tab$mode$nl
    binds=$binds$mode$tab$place$tab$place$nl
done

# ---------------------------------------------------------------------------------------------- image and engine
image=${HSCBOX_IMAGE-}
if [ -z "$image" ]; then image=$site_image; fi
if [ -z "$image" ] && [ -e "${0%/*}/hscbox.sif" ]; then image=${0%/*}/hscbox.sif; fi
[ -n "$image" ] || die "which image? Set HSCBOX_IMAGE to the SIF file or the name of the OCI image"
case $image in
    *.sif | /* | ./* | ../*)
        [ -e "$image" ] || die "there is no image $image; set HSCBOX_IMAGE"
        engines='apptainer singularity'
        ;;
    docker://* | oras://* | library://*) engines='apptainer singularity' ;;
    *) engines='podman docker' ;;
esac
engine=${HSCBOX_ENGINE-}
IFS=' '
if [ -z "$engine" ]; then
    for name in $engines; do
        if command -v "$name" >/dev/null 2>&1; then engine=$name && break; fi
    done
fi
[ -n "$engine" ] || die "none of $engines is there to run $image; set HSCBOX_ENGINE, or load the module that brings it"
command -v "$engine" >/dev/null 2>&1 || die "there is no $engine here"

passed="$site_environment PIPE_INPUT_ROOT PIPE_OUTPUT_ROOT PIPE_CALIB_ROOT XDG_CONFIG_HOME"
[ -z "$TMPDIR_INSIDE" ] || passed="$passed TMPDIR"
program=''
case ${1-} in processCcd.py | ingestImages.py | ingestCalibs.py) program=$1 && shift ;; esac

# ---------------------------------------------------------------------------------------------- run
options=''
option() { options=$options$1$nl; }
# quoted NAME PATH: a field of a --mount option, whose fields are separated by commas.
quoted() { case $2 in *[,\"]*) printf '"%s=%s"' "$1" "$(printf '%s' "$2" | sed 's/"/""/g')" ;; *) printf '%s=%s' "$1" "$2" ;; esac; }
# bind FLAG MODE SOURCE TARGET
bind() {
    case $3$4 in
        *[:,\"]*)
            readonly_word=''
            if [ "$2" = ro ]; then readonly_word=,$read_only; fi
            option --mount
            option "type=bind,$(quoted source "$3"),$(quoted "$target_word" "$4")$readonly_word"
            ;;
        *)
            option "$1"
            option "$3:$4:$2"
            ;;
    esac
}
add_binds() {
    IFS=$nl
    for entry in $binds; do
        mode=${entry%%"$tab"*} entry=${entry#*"$tab"}
        note "bind $mode ${entry%%"$tab"*}"
        bind "$1" "$mode" "${entry%%"$tab"*}" "${entry##*"$tab"}"
    done
}

case ${engine##*/} in
    apptainer | singularity)
        read_only=ro target_word=destination
        if [ -n "$program" ]; then option exec; else option run; fi
        options=$options$apptainer_options$nl
        option --pwd && option "$here"
        add_binds --bind
        IFS=' '
        for name in $passed; do
            # This way of passing holds with --cleanenv too, and for any value.
            eval "value=\${$name-} is_set=\${$name+1}"
            if [ -n "$is_set" ]; then
                export "APPTAINERENV_$name=$value" "SINGULARITYENV_$name=$value"
            fi
        done
        ;;
    *)
        read_only=readonly target_word=target
        option run && option --rm && option --interactive && option --read-only
        option --user && option "$(id -u):$(id -g)"
        case ${engine##*/} in
            docker) option --tmpfs && option /tmp ;;
            podman) if [ "$(id -u)" -ne 0 ]; then option --userns=keep-id; fi ;;
        esac
        options=$options$podman_options$nl
        option --workdir && option "$here"
        add_binds --volume
        IFS=' '
        for name in $passed; do
            eval "is_set=\${$name+1}"
            if [ -n "$is_set" ]; then export "${name?}" && option --env && option "$name"; fi
        done
        if [ -n "$program" ]; then option --entrypoint && option "$program"; fi
        program=''
        ;;
esac
set -- "$image" ${program:+"$program"} "$@"
IFS=$nl
# shellcheck disable=SC2086  # one word a line; file names are not expanded (set -f)
set -- "$engine" $options "$@"
if [ -n "${HSCBOX_DRY_RUN-}" ]; then
    printf '%s\n' "$@"
    exit 0
fi
exec "$@"
