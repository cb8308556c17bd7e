/* admin_fake_peers.h - the peers of admin_fake.h, which includes it. */
#ifndef POSTERN_TEST_ADMIN_FAKE_PEERS_H
#define POSTERN_TEST_ADMIN_FAKE_PEERS_H

int b2bua_peers_json(struct b2bua *b, struct json *j)
{
    (void)b;
    json_arr(j);
    json_obj(j);
    json_kcstr(j, "name", "pbx");
    json_obj_end(j);
    json_arr_end(j);
    return rig.err;
}

int b2bua_peer_drain(struct b2bua *b, struct sl name, struct sl uri, bool on)
{
    (void)b;
    if (!sl_eq(name, SL("pbx")) || (uri.n != 0 && !sl_eq(uri, SL("sip:10.0.0.1")))) {
        return ENOENT;
    }
    rig.drained = on ? (uri.n != 0 ? 2 : 1) : 0;
    return 0;
}

#endif
