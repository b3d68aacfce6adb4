package testvalues

import (
	"math/rand/v2"
	"strings"
	"sync"
)

// frequent are the words that any text has most of, in their order.
const frequent = `the of and to a in is it for that on with as was be by this are from at or an have not
but which you all were we their has one they more will about can if when there what out up its no so
other time than into only some new could these two may then do first any my now such like our over
man me even most made after also did many before must through back years where much your way well down
should because each just those people how too little state good very make world still own see men work
long get here between both life being under never day same another know while last might us great old
year off come since against go came right used take three`

// Lists that fields draw from.
var (
	firstNames = strings.Fields("Anna Ben Carla David Elena Felix Greta Hugo Ines Jonas Katja Leon Maria Nils Olga Paul Rosa Simon Tanja Victor Wei Yuki Zoe Amir Lucia Omar Priya Chen Fatima Igor")
	lastNames  = strings.Fields("Smith Garcia Mueller Novak Rossi Tanaka Kim Silva Jensen Kowalski Dubois Haddad Singh Ivanov Lopez Berg Costa Weber Nguyen Okafor Moreau Fischer Santos Lindgren Petrov Ahmed Walker Young Marin Keller")
	cities     = strings.Fields("Berlin Lyon Porto Osaka Austin Toronto Krakow Bergen Milan Leeds Denver Nairobi Lima Seoul Hanoi Perth Ghent Split Turku Basel")
	countries  = strings.Fields("DE FR PT JP US CA PL NO IT GB KE PE KR VN AU BE HR FI CH ES")
	currencies = strings.Fields("EUR EUR EUR USD USD GBP JPY")
	domains    = strings.Fields("example.com example.org mail.example.net shop.example corp.example")
	statuses   = strings.Fields("pending paid packed shipped delivered delivered delivered returned cancelled")
	nouns      = strings.Fields("chair lamp table shirt jacket phone cable bottle backpack keyboard monitor kettle blanket mirror notebook pencil wallet watch camera tripod helmet tent stove carpet pillow vase clock drill ladder bucket")
	adjectives = strings.Fields("small large red blue green light heavy soft wooden steel folding classic modern portable compact waterproof organic wireless foldable vintage round slim bright quiet warm")
	tags       = strings.Fields("new sale limited bestseller outdoor indoor kids office gift eco imported refurbished seasonal clearance premium")
	syllables  = strings.Fields("ba be bri ca cen cli con da der di do dra en er est fa fer fi for ga gen gra ha hin in ing ion ka ke la le li lo ly ma men mi mo na ne ni nor o pa per pla po pre qua ra re ri ro sa se sha si sta ster ta te ten ter ti tion to tra tri u un va ver vi wa win y za")
)

const (
	vocabularySize = 5000
	zipfExponent   = 1.1
	zipfOffset     = 2.7 // after Mandelbrot: it flattens the first ranks
)

// vocabulary is the words of all texts, the most frequent first.
var vocabulary = sync.OnceValue(func() []string {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields(frequent)
	known := make(map[string]bool, vocabularySize)
	for _, w := range words {
		known[w] = true
	}
	for len(words) < vocabularySize {
		w := ""
		for range 1 + r.IntN(3) {
			w += pick(r, syllables)
		}
		if !known[w] {
			known[w] = true
			words = append(words, w)
		}
	}
	return words
})

// speaker makes text. What it talks about it takes up again, as people do: words that are not
// among the frequent ones, and whole phrases.
type speaker struct {
	r    *rand.Rand
	rank *rand.Zipf

	said  [512]uint16 // the last words, a ring of ranks
	count int         // of words so far
	again int         // words left of a phrase that is said again
	from  int         // where that phrase goes on
}

func newSpeaker(r *rand.Rand) *speaker {
	return &speaker{r: r, rank: rand.NewZipf(r, zipfExponent, zipfOffset, vocabularySize-1)}
}

const (
	phraseShare = 0.1 // of words that begin a phrase of before
	topicShare  = 0.4 // of rare words that are said again
	commonRanks = 150
)

// word returns the next word.
func (s *speaker) word() string {
	rank := s.next()
	s.said[s.count%len(s.said)] = rank
	s.count++
	return vocabulary()[rank]
}

func (s *speaker) next() uint16 {
	if s.again > 0 {
		s.again--
		s.from++
		return s.said[s.from%len(s.said)]
	}
	known := min(s.count, len(s.said)-8)
	if known > 8 && chance(s.r, phraseShare) {
		s.from, s.again = s.count-1-s.r.IntN(known-4), 1+s.r.IntN(3)
		return s.said[s.from%len(s.said)]
	}
	rank := uint16(s.rank.Uint64())
	if rank < commonRanks || known == 0 || !chance(s.r, topicShare) {
		return rank
	}
	if before := s.said[(s.count-1-s.r.IntN(known))%len(s.said)]; before >= commonRanks {
		return before
	}
	return rank
}

// appendSentence appends a sentence with its full stop.
func (s *speaker) appendSentence(dst []byte) []byte {
	n := 4 + s.r.IntN(16)
	for i := range n {
		w := s.word()
		if i == 0 {
			dst = append(dst, w[0]-'a'+'A')
			dst = append(dst, w[1:]...)
			continue
		}
		if i < n-1 && chance(s.r, 0.07) {
			dst = append(dst, ',')
		}
		dst = append(dst, ' ')
		dst = append(dst, w...)
	}
	return append(dst, '.')
}

// appendWords appends exactly n characters of words with spaces between them.
func (s *speaker) appendWords(dst []byte, n int) []byte {
	end := len(dst) + n
	for len(dst) < end {
		dst = append(dst, s.word()...)
		dst = append(dst, ' ')
	}
	return dst[:end]
}

// Text makes sentences in paragraphs, cut at the end.
func Text(r *rand.Rand, size int) []byte {
	s, dst := newSpeaker(r), make([]byte, 0, size+256)
	for len(dst) < size {
		dst = s.appendSentence(dst)
		if chance(r, 0.15) {
			dst = append(dst, "\n\n"...)
		} else {
			dst = append(dst, ' ')
		}
	}
	return dst[:size]
}
