# Source this before cargo builds mediasoup without cargo xtask, which does the same by itself:
#
#   . tools/mediasoup/env.sh
#
# Where GitHub can be reached it changes nothing: mediasoup builds its own way. Where it cannot, it prepares what
# ./meson beside this file builds from, and points the variable MESON at it (see README.md).
# YC_MEDIASOUP=upstream or =offline decides without a look at the network.
if [ -z "${MESON:-}" ]; then
  _yc_tools=$(cd "$(dirname "${BASH_SOURCE:-$0}")" && pwd)
  _yc_deps=${MEDIASOUP_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/mediasoup-deps}
  case ${YC_MEDIASOUP:-} in
    upstream | offline) _yc_choice=$YC_MEDIASOUP ;;
    *)
      # Decided before, or GitHub does not answer.
      if [ -f "$_yc_deps/ready" ] || ! curl -sSfI -o /dev/null --max-time 5 https://github.com 2>/dev/null; then
        _yc_choice=offline
      else
        _yc_choice=upstream
      fi
      ;;
  esac
  if [ "$_yc_choice" = offline ]; then
    "$_yc_tools/setup.sh" && export MESON="$_yc_tools/meson"
  fi
  unset _yc_tools _yc_deps _yc_choice
fi
