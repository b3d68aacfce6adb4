package testvalues

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// JSON makes the answer of an API as a cache keeps it: a list of orders with customers and items.
// It is valid JSON at every size but 0: what is left behind the last order is a text, and values too small
// for a list are a string or a digit.
func JSON(r *rand.Rand, size int) []byte {
	const frame = 96 // more than what is around the orders, apart from the text
	s := newSpeaker(r)
	if size < 2*frame {
		return smallJSON(s, size)
	}
	dst := make([]byte, 0, size+1024)
	dst = append(dst, `{"object":"list","request_id":"`...)
	dst = appendToken(dst, r, base62, 16)
	dst = append(dst, `","data":[`...)
	for first := true; ; first = false {
		mark := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		if dst = s.appendOrder(dst); len(dst)+len(`],"note":""}`) > size {
			dst = dst[:mark]
			break
		}
	}
	dst = append(dst, `],"note":"`...)
	dst = s.appendWords(dst, size-len(dst)-len(`"}`))
	return append(dst, `"}`...)
}

// smallJSON is a string, or one digit where there is no room for its quotes.
func smallJSON(s *speaker, size int) []byte {
	switch size {
	case 0:
		return []byte{}
	case 1:
		return []byte{'0' + byte(s.r.IntN(10))}
	}
	return append(s.appendWords([]byte{'"'}, size-2), '"')
}

func (s *speaker) appendOrder(dst []byte) []byte {
	r := s.r
	var token [14]byte
	id := "ord_" + string(appendToken(token[:0], r, base62, len(token)))
	dst = append(dst, `{"id":"`+id...)
	dst = append(dst, `","number":`...)
	dst = strconv.AppendInt(dst, 10_000_000+r.Int64N(90_000_000), 10)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, pick(r, statuses)...)
	created := moment(r)
	dst = append(dst, `","created_at":"`...)
	dst = appendTime(dst, created)
	dst = append(dst, `","updated_at":"`...)
	dst = appendTime(dst, created.Add(time.Duration(r.IntN(100_000))*time.Second))
	dst = append(dst, `","customer":`...)
	dst = appendCustomer(dst, r)
	dst = append(dst, `,"items":[`...)
	for i := range 1 + r.IntN(4) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendItem(dst, r)
	}
	dst = append(dst, `],"currency":"`...)
	dst = append(dst, pick(r, currencies)...)
	dst = append(dst, `","total":`...)
	dst = appendPrice(dst, r)
	dst = append(dst, `,"paid":`...)
	dst = strconv.AppendBool(dst, chance(r, 0.8))
	dst = append(dst, `,"gift":`...)
	dst = strconv.AppendBool(dst, chance(r, 0.1))
	dst = append(dst, `,"comment":`...)
	if chance(r, 0.15) {
		dst = append(dst, '"')
		dst = s.appendSentence(dst)
		dst = append(dst, '"')
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, `,"url":"https://api.shop.example/v2/orders/`+id+`"}`...)
}

func appendCustomer(dst []byte, r *rand.Rand) []byte {
	first, last := pick(r, firstNames), pick(r, lastNames)
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, r.Int64N(10_000_000), 10)
	dst = append(dst, `,"name":"`...)
	dst = append(dst, first+" "+last...)
	dst = append(dst, `","email":"`...)
	dst = append(dst, first+"."+last...)
	dst = strconv.AppendInt(dst, r.Int64N(1000), 10)
	dst = append(dst, '@')
	dst = append(dst, pick(r, domains)...)
	dst = append(dst, `","city":"`...)
	dst = append(dst, pick(r, cities)...)
	dst = append(dst, `","country":"`...)
	dst = append(dst, pick(r, countries)...)
	dst = append(dst, `","since":"`...)
	dst = append(moment(r).AppendFormat(dst, "2006-01-02"), `","vip":`...)
	dst = strconv.AppendBool(dst, chance(r, 0.05))
	return append(dst, '}')
}

func appendItem(dst []byte, r *rand.Rand) []byte {
	var token [8]byte
	sku := string(appendToken(token[:0], r, base62[:36], len(token)))
	dst = append(dst, `{"sku":"`+sku...)
	dst = append(dst, `","title":"`...)
	dst = append(dst, pick(r, adjectives)+" "+pick(r, nouns)...)
	dst = append(dst, `","price":`...)
	dst = appendPrice(dst, r)
	dst = append(dst, `,"quantity":`...)
	dst = strconv.AppendInt(dst, 1+r.Int64N(5), 10)
	dst = append(dst, `,"in_stock":`...)
	dst = strconv.AppendBool(dst, chance(r, 0.9))
	dst = append(dst, `,"weight":`...)
	dst = strconv.AppendFloat(dst, r.ExpFloat64(), 'f', 1, 64)
	dst = append(dst, `,"tags":["`...)
	dst = append(dst, pick(r, tags)+`","`+pick(r, tags)...)
	return append(dst, `"],"image":"https://cdn.shop.example/img/`+sku+`.webp"}`...)
}
