package pairs

// Turns lets all lanes run count times in turns, each time with another one first and every other time in the opposite
// order, and once before that to warm up. round, the number of calls before this one, moves the beginning on. The
// first error ends it.
func Turns[L any](round, count int, lanes []L, run func(lane L, warm bool) error) error {
	for turn := range count + 1 {
		for i := range lanes {
			if turn%2 == 1 {
				i = len(lanes) - 1 - i
			}
			if err := run(lanes[(round+turn+i)%len(lanes)], turn == 0); err != nil {
				return err
			}
		}
	}
	return nil
}
