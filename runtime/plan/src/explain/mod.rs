//! Why a plan is as large as it is: what rests on what, each buffer's regret, and what stands in the way of a smaller one.
