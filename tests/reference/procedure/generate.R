# Shares, ratios, exact limits, rates and slopes of a small clinic by base R (and survival for what came first).
#   Rscript generate.R        # reads events.csv, sites.csv, visits.csv; writes expected.csv
options(digits = 15)
library(survival)

sites <- read.csv("sites.csv")
events <- read.csv("events.csv")
visits <- read.csv("visits.csv")
out <- data.frame(term = character(), value = numeric())
put <- function(term, value) out[nrow(out) + 1, ] <<- list(term, value)

# jackknife over patients of any statistic of a data frame
jack <- function(d, statistic) {
  people <- unique(d$patient)
  values <- sapply(people, function(p) statistic(d[d$patient != p, ]))
  g <- length(people)
  sqrt((g - 1) / g * sum((values - mean(values))^2))
}

timed <- sites[!is.na(sites$twitch_pain_seconds), ]
put("brief", mean(timed$twitch_pain_seconds < 1))
put("brief_error", jack(timed, function(d) mean(d$twitch_pain_seconds < 1)))

felt <- sites[!is.na(sites$insertions_felt), ]
ratio <- function(d) sum(d$insertions - d$insertions_felt) / sum(d$insertions)
put("not_felt", ratio(felt))
put("not_felt_error", jack(felt, ratio))

harm <- events[events$kind == "adverse_event", ]
asked <- nrow(unique(harm[, c("patient", "visit")]))
for (what in c("bruise", "infection")) {
  k <- nrow(unique(harm[harm$what == what, c("patient", "visit")]))
  put(what, k / asked)
  if (k > 0) {
    put(paste0(what, "_low"), binom.test(k, asked)$conf.int[1])
    put(paste0(what, "_high"), binom.test(k, asked)$conf.int[2])
  } else {
    put(paste0(what, "_high"), binom.test(0, asked, alternative = "less")$conf.int[2])
  }
}

# medicine: fixed effects of patients by lm, jackknife error
taken <- aggregate(what ~ patient + visit, events[events$kind == "analgesic", ], function(w) as.numeric(any(w != "none")))
slope <- function(d) {
  d <- d[ave(d$visit, d$patient, FUN = length) > 0, ]
  unname(coef(lm(what ~ visit + factor(patient), d))["visit"])
}
put("medicine", slope(taken))
put("medicine_error", jack(taken, slope))

# gaps: log ratio of the mean of the later to the mean of the earlier half
gaps <- lapply(split(visits$weeks, visits$patient), diff)
gaps <- gaps[sapply(gaps, length) >= 3]
d <- sapply(gaps, function(g) { h <- length(g) %/% 2; log(mean(tail(g, h)) / mean(head(g, h))) })
test <- t.test(d)
put("gap_ratio", exp(mean(d)))
put("gap_ratio_low", exp(test$conf.int[1]))
put("gap_ratio_high", exp(test$conf.int[2]))

# visits per week within a window: Poisson regression with time as offset gives the same rate
last <- tapply(visits$weeks, visits$patient, max)
window <- function(low, high) {
  made <- tapply(visits$weeks > low & visits$weeks <= high, visits$patient, sum)
  time <- pmax(pmin(last, high) - low, 0)
  keep <- time > 0
  unname(exp(coef(glm(made[keep] ~ offset(log(time[keep])), family = poisson))))
}
put("rate_0_4", window(0, 4))
put("rate_4_8", window(4, 8))

# what came first: improvement, another treatment, stopping (Aalen-Johansen)
treatments <- events[events$kind == "treatment", ]
one <- function(p) {
  v <- visits[visits$patient == p, ]
  n <- nrow(v)
  change <- 100 * (v$pain - v$pain[1]) / v$pain[1]
  rated <- which(!is.na(change))
  rated <- rated[rated > 1]
  if (is.na(v$pain[1]) || length(rated) == 0) return(NULL)
  met <- change[rated] <= -30
  twice <- which(head(met, -1) & tail(met, -1))
  response <- if (length(twice)) rated[twice[1]] - 1 else Inf
  begun <- treatments$visit[treatments$patient == p & treatments$what != "none"]
  start <- if (length(begun)) min(match(begun, v$visit)) - 1 else Inf
  improved <- rated[met]
  data.frame(patient = p, treated = is.finite(start), after = response <= start,
             after_at_all = length(improved) > 0 && min(improved) - 1 <= start,
             time = if (response <= start && is.finite(response)) response else if (is.finite(start)) start else n,
             cause = if (response <= start && is.finite(response)) "response" else
                     if (is.finite(start)) "another treatment" else "stopped before either")
}
first <- do.call(rbind, lapply(sort(unique(treatments$patient)), one))
put("after", mean(first$after[first$treated]))
put("after_at_all", mean(first$after_at_all[first$treated]))
put("treated", sum(first$treated))
first$cause <- factor(first$cause, levels = c("censor", "response", "another treatment", "stopped before either"))
fit <- survfit(Surv(time, cause) ~ 1, data = first, id = seq_len(nrow(first)))
end <- summary(fit, times = max(first$time))
for (k in 2:4) {
  put(paste0("first_", levels(first$cause)[k]), end$pstate[1, k])
  put(paste0("first_", levels(first$cause)[k], "_error"), end$std.err[1, k])
}
write.csv(out, "expected.csv", row.names = FALSE)
