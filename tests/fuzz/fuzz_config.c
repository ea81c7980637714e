/* The settings reader: whatever the file holds, it ends, tells at least one complaint where it
 * refuses and no more than the limit, and gives nothing beyond what the table allows. */
#include "fuzz.h"

#include "base/inet.h"
#include "config/settings.h"

struct target {
    char *text;
    char *path;
    bool yes;
    uint16_t number;
    int64_t duration;
    struct inet_subnet subnets[3];
    size_t subnet_count;
    char *texts[2];
    size_t text_count;
    size_t words;
};

static err_t take_word(void *target, const char *text) {
    struct target *into = target;
    INVARIANT(text[0] != '\0');
    INVARIANT(into->words++ < 4);
    return OK;
}

static const struct setting table[] = {
    {"text", SETTING_TEXT, .required = true, SETTING_AT(struct target, text)},
    {"section.path", SETTING_PATH, SETTING_AT(struct target, path)},
    {"section.yes", SETTING_BOOL, SETTING_AT(struct target, yes)},
    {"section.inner.number", SETTING_NUMBER, SETTING_AT(struct target, number), .min = 3, .max = 9},
    {"duration", SETTING_DURATION, SETTING_AT(struct target, duration), .max = 60},
    {"subnets", SETTING_SUBNET, SETTING_LIST_AT(struct target, subnets, subnet_count)},
    {"texts", SETTING_TEXT, SETTING_LIST_AT(struct target, texts, text_count)},
    {"words", SETTING_WORD, .list = true, SETTING_AT(struct target, words), .items_max = 4,
     .take = take_word},
};
static const struct settings_plan plan = {table, COUNT_OF(table), "an example", NULL};

static void count(void *context, const struct settings_complaint *complaint) {
    size_t *told = context;
    INVARIANT(complaint->where[0] != '\0' && complaint->field[0] != '\0');
    INVARIANT(complaint->reason[0] != '\0');
    (*told)++;
}

static void check_values(const struct target *target, const struct settings *settings) {
    INVARIANT(target->text != NULL && target->text[0] != '\0');
    INVARIANT(target->path == NULL || target->path[0] == '/');
    INVARIANT(target->duration <= 60);
    INVARIANT(!settings_is_set(settings, "section.inner.number") ||
              (target->number >= 3 && target->number <= 9));
    INVARIANT(target->subnet_count <= COUNT_OF(target->subnets));
    INVARIANT(target->text_count <= COUNT_OF(target->texts));
    INVARIANT(target->words <= 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct target target = {.words = 0};
    struct settings settings = {.path = NULL};
    size_t told = 0;
    err_t err = settings_parse(&plan, span_of(data, size), "fuzz.yaml", "/folder", count, &told,
                               &settings, &target);
    INVARIANT(failed(err) == (told > 0));
    INVARIANT(told <= LIMIT_CONFIG_COMPLAINTS_COUNT);
    if (!failed(err)) {
        check_values(&target, &settings);
    }
    settings_free_texts(&plan, &target);
    settings_done(&settings);
    return 0;
}
