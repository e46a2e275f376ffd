# For the tests of this folder: the headers of lib as a program's compiler finds them.

# folder, sources of lib/: copies their headers into it, as ringfence/name.h
copy_headers() {
  local folder=$1 file inside
  for file in "${@:2}"; do
    [[ $file == */include/ringfence/*.h ]] || continue
    inside=${file##*/include/ringfence/}
    mkdir -p "$folder/ringfence/$(dirname -- "$inside")"
    cp -- "$file" "$folder/ringfence/$inside"
  done
}
