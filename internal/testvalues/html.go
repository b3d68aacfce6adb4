package testvalues

import "math/rand/v2"

const (
	htmlHead = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
		"<link rel=\"stylesheet\" href=\"/static/css/main.css\">\n<title>Shop</title>\n</head>\n<body class=\"page page--list\">\n<main class=\"grid\">\n"
	htmlText = "<p class=\"text\">"
	htmlTail = "</p>\n</main>\n</body>\n</html>\n"
)

// HTML makes a rendered page: cards of products, articles and their markup. It is cut where the
// size is too small for head and tail.
func HTML(r *rand.Rand, size int) []byte {
	const around = len(htmlHead) + len(htmlText) + len(htmlTail)
	if size < around {
		return []byte((htmlHead + htmlText + htmlTail)[:size])
	}
	s, dst := newSpeaker(r), make([]byte, 0, size+2048)
	dst = append(dst, htmlHead...)
	for {
		mark := len(dst)
		if chance(r, 0.15) {
			dst = s.appendArticle(dst)
		} else {
			dst = s.appendCard(dst)
		}
		if len(dst)+len(htmlText)+len(htmlTail) > size {
			dst = dst[:mark]
			break
		}
	}
	dst = append(dst, htmlText...)
	dst = s.appendWords(dst, size-len(dst)-len(htmlTail))
	return append(dst, htmlTail...)
}

func (s *speaker) appendCard(dst []byte) []byte {
	r, title := s.r, pick(s.r, adjectives)+" "+pick(s.r, nouns)
	var token [10]byte
	id := string(appendToken(token[:0], r, base62, len(token)))
	dst = append(dst, "  <div class=\"card card--product\" data-id=\""+id+"\">\n    <a class=\"card__link\" href=\"/products/"+id+
		"\"><img class=\"card__image\" loading=\"lazy\" width=\"320\" height=\"240\" src=\"https://cdn.shop.example/img/"+id+
		".webp\" alt=\""+title+"\"></a>\n    <h3 class=\"card__title\">"+title+"</h3>\n    <span class=\"card__price\">"...)
	dst = appendPrice(dst, r)
	dst = append(dst, " "+pick(r, currencies)+"</span>\n    <p class=\"card__text\">"...)
	dst = s.appendSentence(dst)
	dst = append(dst, "</p>\n    <ul class=\"card__tags\">"...)
	for range 2 {
		dst = append(dst, "<li class=\"card__tag\">"+pick(r, tags)+"</li>"...)
	}
	return append(dst, "</ul>\n    <button type=\"button\" class=\"button button--primary\"><svg class=\"icon\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">"+
		"<use href=\"#icon-cart\"></use></svg>Add to cart</button>\n  </div>\n"...)
}

func (s *speaker) appendArticle(dst []byte) []byte {
	dst = append(dst, "  <article class=\"post\">\n    <time datetime=\""...)
	dst = appendTime(dst, moment(s.r))
	dst = append(dst, "\"></time>\n    <p>"...)
	for range 3 + s.r.IntN(4) {
		dst = s.appendSentence(dst)
		dst = append(dst, ' ')
	}
	return append(dst, "</p>\n  </article>\n"...)
}
