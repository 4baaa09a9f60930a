#include "autotune/model.h"

#include <math.h>
#include <string.h>

/* Log seconds are taken to be a line in the log of the prior's cost, plus effects of single axes, plus
 * effects of axes together, which are the more alike the fewer axes differ and the nearer their values
 * are. Variances of these parts, and of the noise. */
static const struct {
    double level, slope, slope_variance, single, joint, noise;
    double alike; /* correlation of neighbouring values of an axis */
    double reach; /* power of the distance */
    double slow;  /* log of the slowness beyond which nothing is told apart */
    /* Standard deviations that a pick hopes for: most go where all seems well, each fourth where little is
     * known. */
    double hope, bold_hope;
} belief = { 10, 0.7, 0.1, 0.1, 0.1, 1e-3, 0.75, 0.7, 0.7, 0.3, 5 };

enum { bold_every = 4 };
enum { shortlist_max = 256 };

struct model {
    const memory *memory;
    const axes *axes;
    double *line;                        /* of each point: log of the prior's cost */
    double alike[axes_max_values];       /* by the distance of two values */
    int picks;                           /* so far */
    int count, point[model_max];         /* what is known */
    double factor[model_max][model_max]; /* lower triangle of its covariance's Cholesky factor */
    double weight[model_max];            /* the covariance's inverse times what was measured */
    int listed, list[shortlist_max];     /* points to pick from */
    double mean[shortlist_max], variance[shortlist_max];
    double reduced[model_max + shortlist_max][shortlist_max]; /* factor^-1 times the covariances */
};

static void set_lines(model *m, const double *cost)
{
    for (int p = 0; p < m->axes->points; p++) {
        if (!(cost[p] > 0 && cost[p] < HUGE_VAL && cost[0] > 0)) {
            memset(m->line, 0, (size_t)m->axes->points * sizeof *m->line);
            return; /* a prior without a scale: the order alone is left of it */
        }
        m->line[p] = log(cost[p] / cost[0]);
    }
}

model *model_new(const memory *from, const axes *a, const double *cost)
{
    model *m = memory_new(from, 1, sizeof *m);
    if (!m) return NULL;
    m->memory = from;
    m->axes = a;
    m->line = memory_new(from, (size_t)a->points, sizeof *m->line);
    if (!m->line) {
        memory_free(from, m, sizeof *m);
        return NULL;
    }
    set_lines(m, cost);
    for (int k = 0; k < axes_max_values; k++) m->alike[k] = pow(belief.alike, pow(k, belief.reach));
    return m;
}

void model_free(model *m)
{
    if (!m) return;
    memory_free(m->memory, m->line, (size_t)m->axes->points * sizeof *m->line);
    memory_free(m->memory, m, sizeof *m);
}

static double covariance(const model *m, int p, int q)
{
    const unsigned char *a = axes_point(m->axes, p), *b = axes_point(m->axes, q);
    double sum = 0, product = 1;
    int n = m->axes->axes;
    for (int k = 0; k < n; k++) {
        double alike = m->alike[a[k] > b[k] ? a[k] - b[k] : b[k] - a[k]];
        sum += alike;
        product *= alike;
    }
    return belief.level + belief.slope_variance * m->line[p] * m->line[q] +
           belief.single * (n ? sum / n : 1) + belief.joint * product;
}

/* ---- Learning ---- */

static void factorise(model *m)
{
    for (int r = 0; r < m->count; r++)
        for (int c = 0; c <= r; c++) {
            double rest = covariance(m, m->point[r], m->point[c]) + (r == c ? belief.noise : 0);
            for (int k = 0; k < c; k++) rest -= m->factor[r][k] * m->factor[c][k];
            m->factor[r][c] = r == c ? sqrt(fmax(rest, 1e-9)) : rest / m->factor[c][c];
        }
}

/* weight = covariance^-1 weight */
static void solve(model *m)
{
    double *w = m->weight;
    for (int r = 0; r < m->count; r++) {
        for (int k = 0; k < r; k++) w[r] -= m->factor[r][k] * w[k];
        w[r] /= m->factor[r][r];
    }
    for (int r = m->count - 1; r >= 0; r--) {
        for (int k = r + 1; k < m->count; k++) w[r] -= m->factor[k][r] * w[k];
        w[r] /= m->factor[r][r];
    }
}

void model_learn(model *m, const int *points, const double *seconds, int count)
{
    double best = HUGE_VAL;
    for (int k = 0; k < count; k++) best = fmin(best, seconds[k]);
    m->count = count;
    for (int k = 0; k < count; k++) {
        m->point[k] = points[k];
        m->weight[k] =
            fmin(log(seconds[k] / best), belief.slow) - belief.slope * m->line[points[k]];
    }
    factorise(m);
    solve(m);
}

static double mean_of(const model *m, int p)
{
    double mean = belief.slope * m->line[p];
    for (int k = 0; k < m->count; k++) mean += m->weight[k] * covariance(m, p, m->point[k]);
    return mean;
}

/* ---- Picking ---- */

/* Those of the least mean, in no order. */
static void shortlist(model *m, const bool *taken)
{
    int worst = 0;
    m->listed = 0;
    for (int p = 0; p < m->axes->points; p++) {
        if (taken[p]) continue;
        double mean = mean_of(m, p);
        bool full = m->listed == shortlist_max;
        if (full && mean >= m->mean[worst]) continue;
        int at = full ? worst : m->listed++;
        m->list[at] = p;
        m->mean[at] = mean;
        if (m->listed < shortlist_max) continue;
        worst = 0;
        for (int k = 1; k < m->listed; k++)
            if (m->mean[k] > m->mean[worst]) worst = k;
    }
}

static void reduce(model *m)
{
    for (int l = 0; l < m->listed; l++) {
        m->variance[l] = covariance(m, m->list[l], m->list[l]);
        for (int r = 0; r < m->count; r++) {
            double rest = covariance(m, m->list[l], m->point[r]);
            for (int k = 0; k < r; k++) rest -= m->factor[r][k] * m->reduced[k][l];
            m->reduced[r][l] = rest / m->factor[r][r];
            m->variance[l] -= m->reduced[r][l] * m->reduced[r][l];
        }
    }
}

static int most_promising(const model *m, const bool *taken, double hope)
{
    int best = -1;
    double least = HUGE_VAL;
    for (int l = 0; l < m->listed; l++) {
        double best_case = m->mean[l] - hope * sqrt(fmax(m->variance[l], 0));
        bool earlier = best >= 0 && best_case == least && m->list[l] < m->list[best];
        if (taken[m->list[l]] || !(best_case < least || earlier)) continue;
        best = l;
        least = best_case;
    }
    return best;
}

/* What knowing one of the list would tell of the others: a further row of the factor. */
static void suppose(model *m, int row, int chosen)
{
    double scale = sqrt(fmax(m->variance[chosen], 0) + belief.noise);
    for (int l = 0; l < m->listed; l++) {
        double rest = covariance(m, m->list[l], m->list[chosen]);
        for (int k = 0; k < row; k++) rest -= m->reduced[k][l] * m->reduced[k][chosen];
        m->reduced[row][l] = rest / scale;
    }
    for (int l = 0; l < m->listed; l++) m->variance[l] -= m->reduced[row][l] * m->reduced[row][l];
}

int model_pick(model *m, int *out, int count, bool *taken)
{
    int picked = 0;
    shortlist(m, taken);
    reduce(m);
    for (; picked < count; picked++) {
        bool bold = ++m->picks % bold_every == 0;
        int l = most_promising(m, taken, bold ? belief.bold_hope : belief.hope);
        if (l < 0) break;
        out[picked] = m->list[l];
        taken[m->list[l]] = true;
        suppose(m, m->count + picked, l);
    }
    return picked;
}
