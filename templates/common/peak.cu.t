/* Weights are 2^(score factor - peak), the peak that of a row's largest score so far. Behind 2^20 the peak's rounding would
 * count: such a row is far, and has its largest score taken from its scores instead. */
DEVICE bool is_far(float top, float factor) { return fabsf(top * factor) >= 0x1p20f && top != -INF; }

/* A row's largest score rises to `best` or stays; returns by what all before it shrinks. */
DEVICE float rise(float &top, float &peak, float best, float factor)
{
    const float now = fmaxf(top, best);
    const bool was_far = is_far(top, factor), far = is_far(now, factor);
    const float base = far || now == -INF ? 0 : now * factor;
    const float gap = fmaf((was_far ? top : 0) - (far ? now : 0), factor, peak - base); /* by what was taken, and by the peak */
    const float shrink = exp2_fast(top == -INF ? -INF : gap);
    top = now, peak = base;
    return shrink;
}

% if exponents then
/* Scores that a warp is to weigh are exponents already, in base 2 and less their row's level: the peak. So one limit serves all
 * rows. While some row of the warp is far, or has no score yet, scores are as they are, and the level of such a row, whose bit
 * is in `far`, is its largest score. Here a row's level rises to its largest score or exponent `best` or stays; its scores
 * become fmaf(score - taken, unit, -base). Returns by what all before shrinks. */
DEVICE float climb(float &level, u32 &far, u32 row, bool exponents, float best, float &taken, float &unit, float &base)
{
    taken = 0;
    if (exponents) {
        const float before = level;
        float now = level + fmaxf(best, 0);
        if (fabsf(now) < 0x1p20f)
            level = now;
        else
            level = now * LN2, now = level * LOG2E, far |= row; /* what settle_level makes of it */
        const bool high = best > fabsf(before); /* then the difference of both is rounded, that from the largest score is not */
        unit = 1, taken = high ? now : 0, base = high ? -before : now - before;
        return exp2_fast(before - now);
    }
    float top = far & row ? level : level * LN2, peak = far & row ? 0 : level;
    const float shrink = rise(top, peak, best, LOG2E);
    unit = LOG2E, base = peak;
    if (is_far(top, LOG2E)) taken = top;
    far = is_far(top, LOG2E) || top == -INF ? far | row : far & ~row;
    level = far & row ? top : peak;
    return shrink;
}

/* In the end: in base 2. */
DEVICE void settle_level(float level, bool far, float &top, float &peak)
{
    peak = level == -INF ? 0 : far ? fmaxf(level * LOG2E, -0x1.fffffep127f) : level; /* of parts of a row with the lowest bias, too */
    top = level == -INF ? level : peak;
}

% else
/* The score above which O is to be rescaled, `slack` over the largest one: of a far row, whose scores are changed there, any. */
DEVICE float limit_of(float top, float slack, float factor)
{
    const float limit = fminf(top + slack, 0x1.fffffep127f);
    return is_far(top, factor) ? -INF : limit;
}

/* In the end: both in base 2. */
DEVICE void settle(float &top, float &peak, float factor)
{
    if (is_far(top, factor)) peak = top * factor;
    top = top == -INF ? top : peak;
}

% end
/* 0 where nothing is to be left, whatever x is. */
DEVICE float share_of(float x, float share) { return share == 0 ? 0 : x * share; }

