/* admin_fake_asked.h - part of admin_fake.h: the answers during which a test may look around. */
#ifndef POSTERN_TEST_ADMIN_FAKE_ASKED_H
#define POSTERN_TEST_ADMIN_FAKE_ASKED_H

static void fake_asked(void)
{
    if (rig.on_asked != NULL) {
        rig.on_asked();
    }
}

int b2bua_system_json(struct b2bua *b, struct json *j)
{
    (void)b;
    fake_asked();
    json_kcstr(j, "node", "edge1");
    return rig.err;
}

int b2bua_metrics(struct b2bua *b, struct buf *text)
{
    (void)b;
    fake_asked();
    buf_puts(text, "# HELP postern_calls Calls\n# TYPE postern_calls gauge\npostern_calls 3\n");
    return rig.err;
}

#endif
