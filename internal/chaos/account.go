package chaos

// registersPerShard is how many registers each client has in one slot of each shard.
const registersPerShard = 4

// account is the ledger of one client in one shard, in one round. Only its client
// touches it, and the suite while the load is paused.
type account struct {
	counterKey string
	counter    meter

	sharedCounterKey string
	sharedCounter    meter   // our share; begins at 0
	sharedValues     []int64 // the replies, which nobody else may get

	listKey    string
	list       journal
	listLength meter

	sharedListKey    string
	sharedList       journal
	sharedListLength meter // our share

	textKey    string
	text       journal
	textLength meter // bytes

	registers [registersPerShard]register
}

// newAccount opens a ledger.
func newAccount(k keyspace, client, shard int, lossy bool) *account {
	who := own(client)
	a := &account{
		counterKey: k.key("counter", shard, client, who), counter: newMeter(counterBase(client, shard), lossy),
		sharedCounterKey: k.key("counter", shard, 0, all), sharedCounter: newMeter(0, lossy),
		listKey: k.key("list", shard, client, who), list: journal{client: client}, listLength: newMeter(0, lossy),
		sharedListKey: k.key("list", shard, 1, all), sharedList: journal{client: client}, sharedListLength: newMeter(0, lossy),
		textKey: k.key("text", shard, client, who), text: journal{client: client}, textLength: newMeter(0, lossy),
	}
	for i := range a.registers {
		a.registers[i] = register{key: k.key("register"+string(rune('0'+i)), shard, client, who), client: client, lossy: lossy}
	}
	return a
}

// keys returns the names of all keys of the account.
func (a *account) keys() []string {
	keys := []string{a.counterKey, a.sharedCounterKey, a.listKey, a.sharedListKey, a.textKey}
	for i := range a.registers {
		keys = append(keys, a.registers[i].key)
	}
	return keys
}

// request is a command of the load, and what is done with its reply.
type request struct {
	args   []any
	shards uint8 // bit set

	// done takes the reply, and returns what is wrong with it.
	done func(v any) problem

	// failed is told of an error: whether the command was certainly not executed. It may
	// be nil.
	failed func(certain bool)
}

// bit is the set of one shard.
func bit(shard int) uint8 { return 1 << shard }

// The requests of a writer, on its account.

func (a *account) increment(shard int) request {
	return request{
		args: []any{"INCR", a.counterKey}, shards: bit(shard),
		done:   func(v any) problem { return a.counter.ack(v, 1).of(a.counterKey) },
		failed: unsureOf(&a.counter, 1),
	}
}

func (a *account) incrementShared(shard int) request {
	return request{
		args: []any{"INCR", a.sharedCounterKey}, shards: bit(shard),
		done: func(v any) problem {
			p := a.sharedCounter.ackShared(v, 1)
			if p.ok() {
				a.sharedValues = append(a.sharedValues, a.sharedCounter.last)
			}
			return p.of(a.sharedCounterKey)
		},
		failed: unsureOf(&a.sharedCounter, 1),
	}
}

// unsureOf returns a request's failed for a meter.
func unsureOf(m *meter, n int64) func(bool) {
	return func(certain bool) {
		if !certain {
			m.unsure(n)
		}
	}
}

func (a *account) push(shard int) request {
	return appending("RPUSH", a.listKey, shard, &a.list, "", &a.listLength, 1, (*meter).ack)
}

func (a *account) pushShared(shard int) request {
	return appending("RPUSH", a.sharedListKey, shard, &a.sharedList, "", &a.sharedListLength, 1, (*meter).ackShared)
}

func (a *account) append(shard int) request {
	return appending("APPEND", a.textKey, shard, &a.text, textSeparator, &a.textLength, 0, (*meter).ack)
}

// textSeparator ends each element of a text.
const textSeparator = ","

// appending makes the request that puts the next element at the end of a key. It
// makes the length grow by n, or by the size of the element when n is 0.
func appending(command, key string, shard int, j *journal, end string, m *meter, n int64, ack func(*meter, any, int64) problem) request {
	i, element := j.next()
	element += end
	if n == 0 {
		n = int64(len(element))
	}
	return request{
		args: []any{command, key, element}, shards: bit(shard),
		done: func(v any) problem {
			j.fates[i] = acked
			return ack(m, v, n).of(key).uncounted() // compare counts the elements
		},
		failed: func(certain bool) {
			if certain {
				j.fates[i] = never
				return
			}
			m.unsure(n)
		},
	}
}

// set makes the request that gives a register its next value.
func (a *account) set(shard, i, size int) request {
	r := &a.registers[i]
	n, v := r.next(size)
	return request{
		args: []any{"SET", r.key, v}, shards: bit(shard),
		done: func(v any) problem { return r.ack(n, v) },
		failed: func(certain bool) {
			if !certain {
				r.unsure(n)
			}
		},
	}
}

// get reads a register.
func (a *account) get(shard, i int) request {
	r := &a.registers[i]
	return request{args: []any{"GET", r.key}, shards: bit(shard), done: r.readNow}
}

// readNow is read without the count of what was lost; that is taken in the end.
func (r *register) readNow(v any) problem {
	_, p := r.read(v)
	return p
}

// setMany makes one MSET of several registers. What an error says of one key is open
// for the others, as the command may be split.
func setMany(shards uint8, registers []*register, size int) request {
	args := []any{"MSET"}
	numbers := make([]int64, len(registers))
	for i, r := range registers {
		n, v := r.next(size)
		numbers[i] = n
		args = append(args, r.key, v)
	}
	return request{
		args: args, shards: shards,
		done: func(v any) (p problem) {
			for i, r := range registers {
				p = r.ack(numbers[i], v)
			}
			return p
		},
		failed: func(bool) {
			for i, r := range registers {
				r.unsure(numbers[i])
			}
		},
	}
}

// getMany makes one MGET, whose values are checked one by one.
func getMany(shards uint8, keys []string, check []func(v any) problem) request {
	args := []any{"MGET"}
	for _, k := range keys {
		args = append(args, k)
	}
	return request{args: args, shards: shards, done: func(v any) (p problem) {
		values, ok := v.([]any)
		if !ok || len(values) != len(keys) {
			return bad("the reply is %s, not an array of as many values as keys", show(v))
		}
		for i, v := range values {
			p = p.with(check[i](v))
		}
		return p
	}}
}
