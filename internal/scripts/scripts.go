// Package scripts holds the Lua scripts that run on the nodes. They are
// constants: nothing is ever formatted into a script.
package scripts

import _ "embed"

// The scripts by name. Each opens with its arguments and what it returns.
var (
	//go:embed acquire.lua
	Acquire string
	//go:embed extend.lua
	Extend string
	//go:embed look.lua
	Look string
	//go:embed persist.lua
	Persist string
	//go:embed release.lua
	Release string
)
