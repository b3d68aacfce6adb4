package command

import "strings"

// exampleRequests are exampleLines cut into arguments at single blanks; "" stands for an empty one.
func exampleRequests() (out [][]string) {
	for line := range strings.SplitSeq(strings.TrimSpace(exampleLines), "\n") {
		args := strings.Split(line, " ")
		for i, a := range args {
			if a == `""` {
				args[i] = ""
			}
		}
		out = append(out, args)
	}
	return out
}

const exampleLines = `
get a
GET a
GeT a b
get
set a b
set a b EX 10 GET
getex a PERSIST
getset a b
append a b
incr a
setrange a 0 b
mget a
mget a b c
mget
mset a 1
mset a 1 b 2
mset a 1 b
mset a
msetnx a 1 b 2
msetnx a 1 b
lcs a b
lcs a b LEN
del a
del a b c
unlink a b
exists a a a
touch a b
rename a b
renamenx a b
copy a b
copy a b DB 1 REPLACE
move a 1
dump a
restore a 0 b
expire a 10
object encoding a
object freq a
object help
object encoding
object nosuch a
memory usage a
memory usage a SAMPLES 5
memory doctor
memory nosuch a
wait 1 0
randomkey
keys *
scan 0
sort a
sort a STORE b
sort a store b STORE c
sort a STORE
sort a BY store GET x STORE d
sort a LIMIT 0 10 STORE b
sort a LIMIT STORE 1 STORE b
sort a store store b
sort a BY w_* GET # GET o_* ASC ALPHA STORE d
sort a GET STORE
sort a LIMIT STORE
sort_ro a
sort_ro a BY x STORE y
sort_ro a GET b
migrate h 1 a 0 1
migrate h 1 a 0 1 COPY REPLACE
migrate h 1 "" 0 1 KEYS a
migrate h 1 "" 0 1 KEYS a b c
migrate h 1 "" 0 1 COPY KEYS a b
migrate h 1 "" 0 1 KEYS
migrate h 1 "" 0 1
migrate h 1 a 0 1 KEYS a b
migrate h 1 "" 0 1 AUTH keys KEYS a
migrate h 1 "" 0 1 AUTH2 keys keys KEYS a b
migrate h 1 "" 0 1 AUTH2 u KEYS a b
migrate h 1 "" 0 1 foo KEYS a
migrate h 1 "" 0 1 COPY REPLACE AUTH p KEYS a keys b
migrate h 1 a 0 1 AUTH keys
migrate h 1 a
hset a f v
hget a f
hmget a f g
hscan a 0
hrandfield a 2
lpush a 1 2
lpop a 2
lmove a b LEFT RIGHT
rpoplpush a b
blmove a b LEFT RIGHT 0
brpoplpush a b 0
blpop a 0
blpop a b c 0
blpop a
brpop a b 0
lmpop 1 a LEFT
lmpop 2 a b LEFT COUNT 3
lmpop 0 a LEFT
lmpop -1 a LEFT
lmpop x a LEFT
lmpop 2x a b LEFT
lmpop 3 a LEFT
lmpop 4 a b LEFT
lmpop 1
blmpop 0 1 a LEFT
blmpop 0 2 a b LEFT COUNT 1
blmpop 0 2 a LEFT
blmpop 0 0 a LEFT
blmpop 0 x a LEFT
blmpop 0 5 a LEFT
blmpop x 1 a LEFT
sadd a b
sinter a b
sinterstore a b c
sinterstore a b
sdiffstore a b c
sunionstore a b
smove a b c
sintercard 1 a
sintercard 2 a b LIMIT 3
sintercard 2 a b
sintercard 0 a b
sintercard 3 a b
sintercard 4 a b LIMIT
sintercard -2 a b
sscan a 0
zadd a 1 b
zrange a 0 -1
zrangestore a b 0 -1
zunion 2 a b
zunion 2 a b WEIGHTS 1 2 WITHSCORES
zunion 0 a
zunion 3 a b
zunion 100000 a
zunion 2147483648 a
zunion 4294967297 a
zunion 4294967298 a b
zunion -4294967295 a
zunion 99999999999999999999 a
zinter 1 a
zinter 2 a b AGGREGATE SUM
zinter x a
zdiff 2 a b
zdiff 02 a b
zdiff +2 a b
zdiff 1 a b
zunionstore d 2 a b
zunionstore d 2 a b WEIGHTS 1 2
zunionstore d 2x a b
zunionstore d 4294967298 a b
zunionstore d 0 a b
zunionstore d -1 a b
zunionstore d 5 a b
zunionstore d x a b
zunionstore d 9223372036854775807 a
zinterstore d 1 a
zinterstore d 1 a WEIGHTS 1
zdiffstore d 2 a b
zdiffstore d 3 a b
zintercard 1 a
zintercard 1 a LIMIT 1
zintercard 3 a LIMIT 1
zintercard 0 a
zmpop 1 a MIN
zmpop 2 a b MAX COUNT 2
zmpop 0 a MIN
zmpop 9 a MIN
bzmpop 0 1 a MIN
bzmpop 0 2 a b MAX COUNT 2
bzmpop 0 x a MIN
bzpopmin a 0
bzpopmin a b 0
bzpopmax a b 0
xadd a * f v
xlen a
xrange a - +
xread STREAMS a 0
xread STREAMS a b 0 0
xread STREAMS a b 0
xread STREAMS a
xread COUNT 2 STREAMS a 0
xread COUNT 2 BLOCK 0 STREAMS a b 0 $
xread BLOCK
xread BLOCK 0 STREAMS
xread COUNT STREAMS STREAMS a 0
xread STREAMS STREAMS 0
xread FOO BAR STREAMS a 0
xread streams streams streams 0 0
xreadgroup GROUP g c STREAMS a >
xreadgroup GROUP g c COUNT 1 BLOCK 5 NOACK STREAMS a b > >
xreadgroup GROUP streams c STREAMS a >
xreadgroup GROUP g streams STREAMS a >
xreadgroup GROUP streams streams STREAMS streams streams > >
xreadgroup GROUP g c STREAMS a b >
xreadgroup GROUP g c FOO STREAMS a >
xreadgroup STREAMS a > b c d e
xgroup CREATE a g $
xgroup CREATE a g
xgroup DESTROY a g
xgroup CREATECONSUMER a g c
xgroup HELP
xinfo STREAM a
xinfo STREAM a FULL COUNT 1
xinfo GROUPS a
xinfo CONSUMERS a g
xack a g 1-1
xautoclaim a g c 0 0
xclaim a g c 0 1-1
setbit a 1 1
bitcount a
bitop AND d a b
bitop NOT d a
bitop NOT d
bitfield a GET u8 0
bitfield a SET u8 0 1
bitfield a
bitfield_ro a GET u8 0
pfadd a b
pfadd a
pfcount a b
pfmerge d a b
pfmerge d
pfdebug ENCODING a
geoadd a 1 1 m
geosearch a FROMMEMBER m BYRADIUS 1 km
geosearchstore d a FROMMEMBER m BYRADIUS 1 km
georadius a 0 0 1 m
georadius a 0 0 1 m STORE d
georadius a 0 0 1 m STOREDIST d
georadius a 0 0 1 m STORE d STOREDIST e
georadius a 0 0 1 m STOREDIST d STORE e
georadius a 0 0 1 m STORE d STORE e
georadius a 0 0 1 m COUNT 1 ASC store d
georadius a 0 0 1 m STORE
georadius a 0 0 1 m STORE STORE STOREDIST STOREDIST
georadius a 0 0 STORE m STORE d
georadius STORE STORE STORE STORE STORE STORE
georadius_ro a 0 0 1 m
georadiusbymember a m 1 km
georadiusbymember a m 1 km STORE d
georadiusbymember a m 1 km STOREDIST d STORE e
georadiusbymember STORE m 1 km STORE
georadiusbymember STORE m 1 STORE km STORE
georadiusbymember_ro a m 1 km
eval s 0
eval s 0 a b
eval s 1 a
eval s 2 a b c
eval s 2 a
eval s 3 a b
eval s -1 a
eval s x a
eval s 1x a
eval s "" a
eval s 1 ""
eval s
eval_ro s 1 a
eval_ro s 5 a b
evalsha s 1 a
evalsha s 2 a b
evalsha_ro s 1 a
fcall f 0
fcall f 1 a v
fcall f 2 a
fcall_ro f 1 a
fcall_ro f -1 a
publish a b
spublish a b
ssubscribe a b
subscribe a
config get a
config
config nosuch
script load s
function list
client id
client no-such a
watch a b
ping a
nosuch a b
"" a
`
