# Every target runs under the Node 24 that lab/node keeps in the cache, whatever Node this machine has.
NODE := lab/node
ENVIRONMENT := PATH="$$(dirname "$$($(NODE) -p process.execPath)"):$(CURDIR)/node_modules/.bin:$$PATH"

.DEFAULT_GOAL := help
.PHONY: help demo test tools clean-tools lab chaos bench dist lint format install

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## Build, merge, sign and tag a real image in a lab on this machine, and watch it
	@$(NODE) lab/demo.ts

test: ## Prove everything: types, lint, tests, dist, archive, workflows, and the action in the lab
	@$(NODE) scripts/test.ts

tools: ## Build what is missing of the lab's tools
	@$(NODE) lab/tools/main.ts

clean-tools: ## Remove the lab's tools and all else that was put into the cache
	@$(NODE) lab/tools/clean.ts

lab: install tools ## Bring the lab up and keep it until Ctrl-C
	@$(NODE) lab/up.ts

chaos: install ## Random releases in bad weather: RUNS=n SEED=s, or one of them again with SEED=s RUN=n
	@$(NODE) lab/chaos/main.ts $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED)) $(if $(RUN),--run $(RUN))

bench: install tools ## Measure what the budgets are about
	@for file in bench/startup.ts bench/merge.ts bench/many.ts bench/sign.ts; do $(NODE) "$$file" || exit 1; done

dist: install ## Make dist/ from src/
	@$(NODE) scripts/bundle.mjs

lint: install ## Compiler and linters
	@$(ENVIRONMENT) sh -ec 'tsc --noEmit; biome check .; oxlint --type-aware --deny-warnings; knip'

format: install ## Bring all files into the one format
	@$(ENVIRONMENT) biome check --write .

install: ## Install the packages of package-lock.json
	@$(NODE) scripts/install.ts
