package deploy

import "time"

// PresentFor is how long a worker, and with it its environment's command line, counts as
// connected after it was last heard of. One that is idle asks every ten seconds, and that is
// written at most every five.
const PresentFor = 25 * time.Second
