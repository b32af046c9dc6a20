package jsdate

// standard reads the format of ECMAScript: a year, which may be followed by month and day, and
// these by T and a time. done reports that nothing more is to be read; ok is false for a text
// that no grammar reads. Otherwise what was read of a date stays, and is the beginning of one
// that the other grammar reads on from.
func (r *reading) standard() (done, ok bool) {
	if !r.standardDate() {
		return false, true
	}
	switch t := r.in.next; {
	case t.kind == end:
		r.iso = true
		return true, true
	case isKeyword(t, "t"):
		r.in.take()
		r.iso = true
		return true, r.standardTime() && r.in.next.kind == end
	}
	return false, true
}

// standardDate reports whether all that it took belongs to a date of the standard.
func (r *reading) standardDate() bool {
	if !r.year() {
		return false
	}
	if r.in.skip("-") {
		if !r.twoDigits(&r.date, isMonth) {
			return false
		}
		if r.in.skip("-") && !r.twoDigits(&r.date, isDay) {
			return false
		}
	}
	return true
}

// year reads four digits, or a sign and six.
func (r *reading) year() bool {
	sign := r.in.next
	if !sign.sign() {
		if !r.in.next.digits(4) {
			return false
		}
		r.date = append(r.date, r.in.take().value)
		return true
	}
	r.in.take()
	if !r.in.next.digits(6) {
		return false
	}
	year := r.in.take().value
	if sign.text == "-" {
		if year == 0 {
			return false
		}
		year = -year
	}
	r.date = append(r.date, year)
	return true
}

// twoDigits reads a number of two digits that is allowed.
func (r *reading) twoDigits(into *[]int, allowed func(int) bool) bool {
	if !r.in.next.digits(2) || !allowed(r.in.next.value) {
		return false
	}
	*into = append(*into, r.in.take().value)
	return true
}

// standardTime reads hh:mm, which may be followed by seconds, by a fraction of them, and by a zone.
func (r *reading) standardTime() bool {
	isHour := func(n int) bool { return within(n, 0, 24) }
	if !r.twoDigits(&r.clock, isHour) || !r.in.skip(":") || !r.twoDigits(&r.clock, isSixtieth) {
		return false
	}
	if r.in.skip(":") {
		if !r.twoDigits(&r.clock, isSixtieth) {
			return false
		}
		if r.in.skip(".") {
			if r.in.next.kind != number {
				return false
			}
			r.clock = append(r.clock, millis(r.in.take()))
		}
	}
	return r.standardZone()
}

// standardZone reads Z, an offset with or without a colon, or nothing.
func (r *reading) standardZone() bool {
	switch t := r.in.next; {
	case isKeyword(t, "z"):
		r.in.take()
		r.zone = zone{sign: 1}
		return true
	case !t.sign():
		return true
	}
	r.zone = zone{sign: signOf(r.in.take())}
	if t := r.in.next; t.digits(4) {
		r.in.take()
		r.zone.hour, r.zone.minute = t.value/100, t.value%100
		return within(r.zone.hour, 0, 23) && isSixtieth(r.zone.minute)
	}
	var offset []int
	isHour := func(n int) bool { return within(n, 0, 23) }
	if !r.twoDigits(&offset, isHour) || !r.in.skip(":") || !r.twoDigits(&offset, isSixtieth) {
		return false
	}
	r.zone.hour, r.zone.minute = offset[0], offset[1]
	return true
}

func signOf(t token) int {
	if t.text == "-" {
		return -1
	}
	return 1
}

// millis is a fraction of a second in milliseconds, the rest cut off.
func millis(t token) int {
	n, digits := t.value, min(len(t.text), significant)
	for ; digits < 3; digits++ {
		n *= 10
	}
	for ; digits > 3; digits-- {
		n /= 10
	}
	return n
}
