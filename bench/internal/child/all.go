package child

import "context"

// StartAll starts one for each of what. The function killAll ends those that were started; it is there with an error, too.
func StartAll[W any, P interface{ Kill() }](ctx context.Context, what []W, start func(context.Context, W) (P, error)) (all []P, killAll func(), err error) {
	killAll = func() {
		for _, p := range all {
			p.Kill()
		}
	}
	for _, w := range what {
		p, err := start(ctx, w)
		if err != nil {
			return all, killAll, err
		}
		all = append(all, p)
	}
	return all, killAll, nil
}
